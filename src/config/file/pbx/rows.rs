//! The rows of `[[pbx]]`, `[pbx.tls]` and `[pbx.groups]`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::pbx::settings::{PbxApi, Prolong, UpstreamRanges};
use crate::recording::Stamp;
use crate::secret::Secret;
use crate::tls::pin::Pin;

const WAYS: [(&str, Prolong); 3] = [
    ("query", Prolong::Query),
    ("heartbeat", Prolong::Heartbeat),
    ("never", Prolong::Never),
];

rows! {
    /// The PBXs; one [[pbx]] each, of any kind. /pbx/{name}/recordings/… means the PBX of that
    /// name. /recordings/… means the first PBX whose names_from and names_until hold the name of
    /// the recording.
    mod keys = "[[pbx]]";

    /// Its name in URLs and in the log: at most 64 letters, digits, - and _.
    name: Required<Free<String>> = required(text("office"));

    /// The API it speaks; choose the newest that the firmware has:
    ///   s-series-1.0.1 (firmware from 30.5.0.24), s-series-1.1.0 (30.10.0.59) and
    ///   s-series-2.0.0 (30.13.0.30): S-Series, and boxes called K2, S1000 or "IPPBX"
    ///   cloud-1.1.0 (81.8.0.4), cloud-2.0.0 (81.13.0.30): the Cloud PBX from before the P-Series
    ///   p-series: openapi/v1.0 of Appliance (37.7.0.16), Software (83.x) and Cloud Edition
    ///   (84.7.0.17)
    api: Required<OneOf<PbxApi>> = required(one_of(&PbxApi::NAMES, PbxApi::SSeries200));

    /// Scheme, host and port of its web interface. Port 80 does not work: it is a redirect.
    url: Required<Free<Url>> = required(web_address("https://192.168.5.150:8088"));

    /// Must be true for an http address: the password and every call can then be read on the way.
    plain_http: Flag = flag(false);

    /// A request without a PBX's name means this PBX for recordings whose names begin with this
    /// time or a later one. Times are local to the PBX: a date such as 2024-03-01, or
    /// 2024-03-01T12:30:00.
    names_from: Free<Stamp> = parsed("2020-01-01").absent("no limit");

    /// The same for names that begin with a time before this one.
    names_until: Free<Stamp> = parsed("2024-03-01").absent("no limit");

    /// The zone of its local time, such as Europe/Berlin. Lists ask the PBX for local times, and
    /// show them.
    time_zone: Word = word("UTC");

    /// The user name of the API account: Settings > PBX > General > API on the PBX. The account is
    /// shared with every other program that uses the API. For a P-Series: the Client ID of
    /// Integrations > API.
    username: Required<Free<String>> = required(text("api"));

    /// A file with the password of the account. For a P-Series: the Client Secret. This or
    /// password_md5_file is required.
    password_file: Free<Secret> = password("secrets/pbx-password").shown();

    /// Instead of it, a file with the MD5 of the password: 32 lower-case hexadecimal digits. It
    /// opens as much as the password itself. Not for a P-Series, which needs the secret itself.
    password_md5_file: Free<Secret> = password("secrets/pbx-password-md5").absent("none");

    /// An address that may use a ticket beside the address that asked for it (allowedip): an IPv4
    /// address, or "auto" for the address from which the gateway reaches the PBX. Needed only if
    /// requests leave through different addresses. Not with 1.0.1 or a P-Series.
    allowed_ip: Free<String> = text("auto").absent("none");

    /// Source address of all connections to the PBX.
    bind_address: Free<IpAddr> = parsed("192.168.5.10").absent("the system chooses");

    /// How a token that nobody uses is kept alive. query: by a ticket that nobody uses. heartbeat:
    /// by a heartbeat, which may move the event reports of another program. S-Series only; on all
    /// others a token in use is exchanged for a new one.
    prolong: OneOf<Prolong> = one_of(&WAYS, Prolong::Query);

    /// true gives the token back at exit. Other programs with the account of an S-Series may lose
    /// their token by that. For a P-Series the default is true, since a token takes one of eight
    /// slots.
    logout: Flag = flag(false);

    /// Field port of the login call; not for a P-Series. It may move the event reports of another
    /// program here. Some firmware demands it.
    report_port: Optional<Number<u16>> = optional(port(8260), "not sent");

    /// Field url of the login call; the same applies.
    report_url: Free<String> = text("").absent("not sent");

    /// Field version of the login call; the same applies.
    report_version: Free<String> = text("1.0.2").absent("not sent");

    /// The pause before the one further login after a refused login. After that there is none until
    /// the credentials change; each SIGHUP allows one more. The fifth refusal locks our address out
    /// for ten minutes. Credentials that the PBX has accepted before are tried on while it gives no
    /// answer (docs/logins.md).
    login_retry_s: Number<Duration> = seconds(1..=DAY_S, 60);

    /// Downloads at once. The PBX is an embedded computer that also carries the calls. Requests
    /// that wait for a download take turns, one principal after the other; while several wait, none
    /// of them gets more than half.
    max_downloads: Number<usize> = count(1..=100_000, 4);

    /// true for a P-Series that records MP3: it can bear one download at a time, and max_downloads
    /// is 1.
    mp3: Flag = flag(false);

    /// Requests that may wait for this PBX at once; further ones get 503 at once. So a PBX that
    /// hangs does not take every stream from the others. If several PBXs share relay.max_streams,
    /// the default may be less; the sum of all must be below it.
    max_waiting: Number<usize> = count(1..=1_000_000, 256);

    /// Bytes per second of all downloads and lists of this PBX together, shared fairly, so that
    /// they do not disturb calls on the same line.
    max_bytes_per_second: Optional<Number<u64>> =
        optional(bytes(1_024..=1 << 40, 1_000_000), "no limit");

    /// Bytes per second that a caller must take while other principals wait for this PBX; a slower
    /// caller is cut, and 0 cuts none. This concerns callers of a recording that is not kept, and
    /// the slowest caller of a recording too long for the memory. The default is half of the rate
    /// at which telephone audio of 8 kHz and 8 bits plays.
    min_bytes_per_second: Number<u64> = bytes(0..=1 << 20, 4_096);

    /// How long a request may wait for its turn, and for a short pause between logins; then it gets
    /// 503.
    queue_timeout_ms: Number<Duration> = milliseconds(0..=600_000, 30_000);

    /// How long a connection may take, TLS included.
    connect_timeout_ms: Number<Duration> = milliseconds(10..=25_000, 5_000);

    /// How long the answer to a JSON call may take. A login with credentials that the PBX has
    /// accepted before is given up after 10 s, if that is less.
    answer_timeout_ms: Number<Duration> = milliseconds(10..=600_000, 15_000);

    /// How long the first bytes of a recording may take.
    first_byte_timeout_ms: Number<Duration> = milliseconds(10..=600_000, 25_000);

    /// How long a recording may stand still once it flows; then the transfer breaks.
    idle_timeout_ms: Number<Duration> = milliseconds(50..=600_000, 30_000);

    /// The pause before a PBX that reported an internal error is asked once more.
    retry_delay_ms: Number<Duration> = milliseconds(0..=60_000, 1_000);

    /// How long after its beginning a call may still get its recording. If the PBX does not know
    /// the recording of such a call, or has an empty one, it is asked again after the pauses below;
    /// then the answer is 404 with Retry-After.
    not_ready_window_s: Number<Duration> = seconds(0..=DAY_S, 14_400);

    /// The pauses; at most five.
    not_ready_retry_ms: Pauses = pauses(0..=60_000, &[2000, 5000]);

    /// Whether the PBX is asked for a part of a recording that is not kept and whose length is
    /// known. never: the recording is read from its start, and the bytes in front of the part are
    /// thrown away. trust: only the part is asked for, and the bytes in front of it are not looked
    /// at. If the answer does not say that it is exactly that part, it is thrown away, and the PBX
    /// is asked for whole recordings from then on. But if the answer says so and is wrong, callers
    /// get bytes of another place. So use trust only for a PBX that was tried.
    upstream_ranges: OneOf<UpstreamRanges> =
        one_of(&UpstreamRanges::NAMES, UpstreamRanges::Never);
}

rows! {
    /// How the certificate of the PBX is judged: by the CAs of the system, unless one of these is
    /// given. certs/README.md tells more.
    mod tls_keys = "[pbx.tls]";

    /// A PEM file with the certificates of CAs. Not for a certificate that the PBX signed itself:
    /// pin that.
    ca_file: Free<PathBuf> = path("../certs/pbx-ca.pem").absent("none");

    /// The SHA-256 of the certificate of the PBX, as `wavegate doctor` shows it. Names and dates in
    /// the certificate do not matter then.
    pins: Free<Vec<Pin>> =
        list(&["0000000000000000000000000000000000000000000000000000000000000000"]).shown();
}

rows! {
    /// Queues and ring groups of this PBX: a number, and the extensions that it stands for when
    /// policies ask for the inside of a call. At most 1000, with 1000 members each. Without this, a
    /// call to a queue belongs to nobody.
    mod groups_keys = "[pbx.groups]", example: "6400 = [\"1001\", \"1002\"]\n";
}
