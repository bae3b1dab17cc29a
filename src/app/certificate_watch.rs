//! The end of the listener's certificate, told in time.
//!
//! Knows how often to look. Does not know certificates.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::tls::server::{ServerCertificate, end_warning};

/// The time from one warning to the next.
const WARN_INTERVAL: Duration = Duration::from_secs(12 * 60 * 60);

/// Warns twice a day while the certificate ends soon. A start and a reload warn by themselves.
pub(super) async fn warn_in_time(certificate: Arc<ServerCertificate>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(WARN_INTERVAL) => {}
        }
        let end = certificate.end();
        if let Some(warning) = end.and_then(|end| end_warning(end, Timestamp::now())) {
            warn!(warning, "server.tls.certificate_file");
        }
    }
}
