//! One PBX: its address, our account on it, and its limits.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::tz::TimeZone;
use url::Url;

use crate::recording::NameRange;
use crate::secret::Secret;
use crate::tls::trust::PbxTrust;

/// One PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxSettings {
    /// Its name in URLs and in the log.
    pub name: String,
    /// The API it speaks.
    pub api: PbxApi,
    /// Scheme, host and port of its web interface.
    pub url: Url,
    /// How its certificate is judged; `None` for plain HTTP.
    pub trust: Option<PbxTrust>,
    /// Source address of every connection to it.
    pub bind_address: Option<IpAddr>,
    /// The address sent as `allowedip`.
    pub allowed_ip: AllowedIp,
    /// The recordings for which a request without a PBX's name means this PBX.
    pub names: NameRange,
    /// The zone of its local time.
    pub time_zone: TimeZone,
    /// Our account on it.
    pub account: PbxAccount,
    /// The limits of requests to it.
    pub limits: PbxLimits,
    /// The time in which a call may still get its recording.
    pub not_ready: NotReady,
    /// Whether it is asked for parts of a recording.
    pub upstream_ranges: UpstreamRanges,
}

/// Our account on a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxAccount {
    /// API user name.
    pub username: Secret,
    /// API password, in whichever form it was configured.
    pub password: PbxPassword,
    /// Optional fields of the login call.
    pub report: PbxReport,
    /// How an unused token is kept alive.
    pub prolong: Prolong,
    /// Whether the token is given back at exit.
    pub logout: bool,
    /// Pause between the two logins that may be refused.
    pub login_retry: Duration,
}

/// Largest piece of a download, which is one turn of it: a record of TLS.
pub(crate) const READ_BUFFER_BYTES: usize = 16 * 1024;

/// The limits of requests to a PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PbxLimits {
    /// Downloads at once.
    pub max_downloads: usize,
    /// Requests that may wait for their first byte at once.
    pub max_waiting: usize,
    /// Bytes of recordings and lists per second, all together; `None` for no limit.
    pub max_bytes_per_second: Option<u64>,
    /// Bytes per second below which a caller of a recording that is not kept is cut while others
    /// wait; 0 for never.
    pub min_bytes_per_second: u64,
    /// How long a request may wait for its turn.
    pub queue_timeout: Duration,
    /// How long a connection (TCP and TLS) may take.
    pub connect_timeout: Duration,
    /// How long the answer to a JSON call may take.
    pub answer_timeout: Duration,
    /// How long the first bytes of a recording may take.
    pub first_byte_timeout: Duration,
    /// How long a recording may stand still once it flows.
    pub idle_timeout: Duration,
    /// Pause before a PBX that reported an internal error is asked once more.
    pub retry_delay: Duration,
}

/// The time in which a call may still get its recording, although the PBX does not find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// How long ago the call may have begun.
    pub window: Duration,
    /// Pauses before the recording is asked for again.
    pub retries: Vec<Duration>,
}

/// The API a PBX speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PbxApi {
    /// S-Series API 1.0.1.
    SSeries101,
    /// S-Series API 1.1.0.
    SSeries110,
    /// S-Series API 2.0.0.
    SSeries200,
    /// Cloud PBX API 1.1.0.
    Cloud110,
    /// Cloud PBX API 2.0.0.
    Cloud200,
    /// P-Series `openapi/v1.0`.
    PSeries,
}

impl PbxApi {
    /// Every API with its name in the configuration.
    pub(crate) const NAMES: [(&str, Self); 6] = [
        ("s-series-1.0.1", Self::SSeries101),
        ("s-series-1.1.0", Self::SSeries110),
        ("s-series-2.0.0", Self::SSeries200),
        ("cloud-1.1.0", Self::Cloud110),
        ("cloud-2.0.0", Self::Cloud200),
        ("p-series", Self::PSeries),
    ];

    /// Its name in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        let name = Self::NAMES.iter().find(|(_, api)| *api == self);
        name.map_or("", |(name, _)| name)
    }
}

/// The API password, in the form in which it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxPassword {
    /// As an administrator types it.
    Clear(Secret),
    /// Its MD5, 32 lower-case hexadecimal digits, so that the clear text need not be stored.
    Md5(Secret),
}

/// The address sent as `allowedip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedIp {
    /// None is sent: only the requester may use the ticket.
    Absent,
    /// This address.
    Fixed(Ipv4Addr),
    /// The address from which the gateway reaches the PBX.
    Auto,
}

/// Optional fields of the S-Series login call. Each may move the event reports of other programs,
/// so only configured ones are sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PbxReport {
    /// `port`: where the PBX would send reports.
    pub port: Option<u16>,
    /// `url`: path or address for reports.
    pub url: Option<String>,
    /// `version`: format of reports.
    pub version: Option<String>,
}

/// How an unused token is kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prolong {
    /// By asking for a ticket that nobody uses.
    Query,
    /// By an empty heartbeat.
    Heartbeat,
    /// Not at all: the next request logs in again.
    Never,
}

/// Whether a PBX is asked for a part of a recording that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamRanges {
    /// It is asked for the whole recording; the bytes in front of the part are thrown away.
    Never,
    /// It is asked for the part, and its answer is trusted.
    Trust,
}

impl UpstreamRanges {
    /// Both with their names in the configuration.
    pub(crate) const NAMES: [(&str, Self); 2] = [("never", Self::Never), ("trust", Self::Trust)];
}
