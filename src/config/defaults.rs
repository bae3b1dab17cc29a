//! The defaults, each once. `config/wavegate.toml` documents them, and a test compares the two.

use std::net::Ipv4Addr;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::{AdminSettings, ServerSettings};
use crate::cache::settings::{CacheSettings, RangeSettings};
use crate::http::headers::BrowserCache;
use crate::log::{LogFormat, LogSettings, RecordingNames};
use crate::pbx::settings::{NotReady, PbxAccount, PbxLimits};
use crate::relay::settings::RelaySettings;

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: vec![(Ipv4Addr::LOCALHOST, 8080).into()],
            tls: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            max_connections: 10_000,
            max_header_bytes: 16 * 1024,
            header_timeout: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(60),
        }
    }
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8081).into(),
            token: None,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: LevelFilter::INFO,
            format: LogFormat::Json,
            recording_names: RecordingNames::Hashed,
        }
    }
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            max_streams: 1_000,
            max_streams_per_principal: 256,
            max_reads_per_minute: 600,
            idle_timeout: Duration::from_secs(30),
            max_stream: Duration::from_secs(4 * 3600),
            browser_cache: BrowserCache::default(),
        }
    }
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            max_bytes: 256 << 20,
            max_recording_bytes: 64 << 20,
            linger: Duration::from_secs(10),
            keep: Duration::from_secs(600),
            max_age: Duration::from_secs(3600),
            remember: Duration::from_secs(4 * 3600),
            remember_missing: Duration::from_secs(3),
        }
    }
}

impl Default for RangeSettings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(2),
        }
    }
}

impl PbxAccount {
    /// Pause between the two logins that may be refused.
    pub(crate) const LOGIN_RETRY: Duration = Duration::from_secs(60);
}

impl Default for PbxLimits {
    fn default() -> Self {
        Self {
            max_downloads: 4,
            max_waiting: 256,
            max_bytes_per_second: None,
            min_bytes_per_second: 4_096,
            queue_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(15),
            first_byte_timeout: Duration::from_secs(25),
            idle_timeout: Duration::from_secs(30),
            retry_delay: Duration::from_secs(1),
        }
    }
}

impl Default for NotReady {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(4 * 3600),
            retries: vec![Duration::from_secs(2), Duration::from_secs(5)],
        }
    }
}
