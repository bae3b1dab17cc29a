//! The switches: one for every point where the behavior of a PBX is unknown, or differs between
//! boxes.
//!
//! Knows their names, their meaning and the generations that they apply to. Does not carry them
//! out: the code that a switch changes asks for it by name.
//!
//! Without a switch the simulator behaves as documented, or in the most likely way where the
//! documents are silent. A downloader must work with every switch, or fail with a clear error.
//! Documented are the points named in Yeastar, "S-Series API Guide", "API Authentication", "Acquire
//! Auto Recording files" and "Error Code Descriptions", and in Yeastar, "P-Series Developer Guide";
//! the alternatives themselves are assumptions, or known from published clients.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::generation::Api;

// The lists of generations that switches apply to.
const NOT_P_SERIES: &[Api] = &[
    Api::SSeries101,
    Api::SSeries110,
    Api::SSeries200,
    Api::Cloud110,
    Api::Cloud200,
];
const ALL: &[Api] = Api::ALL;
const P_SERIES: &[Api] = &[Api::PSeries];
const V1: &[Api] = &[Api::SSeries101, Api::SSeries110];
const V1_0_1: &[Api] = &[Api::SSeries101];
const V2: &[Api] = &[Api::SSeries200];
const NOT_OLDEST: &[Api] = &[Api::SSeries110, Api::SSeries200, Api::Cloud200];
const FULL_HEADERS: &[Api] = &[Api::SSeries200, Api::Cloud110, Api::Cloud200];
const PORT_DEMANDED: &[Api] = &[Api::SSeries101, Api::SSeries110, Api::Cloud110];
const USE_PROLONGS: &[Api] = &[
    Api::SSeries101,
    Api::SSeries110,
    Api::SSeries200,
    Api::Cloud200,
];
const REFRESHES: &[Api] = &[Api::SSeries200, Api::Cloud110, Api::Cloud200];
const CLOUD: &[Api] = Api::CLOUD;
const WITH_CDR: &[Api] = &[
    Api::SSeries110,
    Api::SSeries200,
    Api::Cloud110,
    Api::Cloud200,
];

/// Error: the text is not the name of a switch in [`Switch::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown switch {0:?}")]
pub struct UnknownSwitch(String);

macro_rules! switches {
    ($($name:ident = $text:literal, $versions:ident, $about:literal;)*) => {
        /// One way in which the box differs from the default.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Switch {
            $(#[doc = $about] $name,)*
        }

        impl Switch {
            /// Every switch there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Names the switch in kebab-case, as the command line does.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Describes in one line how the PBX differs from the default.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }

            fn apis(self) -> &'static [Api] {
                match self { $(Self::$name => $versions,)* }
            }
        }
    };
}

switches! {
    // The listener.
    PlainHttp = "plain-http", ALL, "The listener speaks plain HTTP, which an administrator can choose.";
    RedirectFromPort80 = "redirect-from-port-80", ALL, "The listener speaks plain HTTP and answers every request with 302 to HTTPS on port 8088, or on the default port for a Cloud PBX, as port 80 does.";
    Tls13 = "tls-13", ALL, "TLS 1.3 is offered beside TLS 1.2.";
    SniRequired = "sni-required", ALL, "A handshake without a server name is refused.";
    HostRequired = "host-required", ALL, "A request whose Host does not name the box and its port gets 400 with a page.";
    KeepAlive = "keep-alive", ALL, "Connections stay open, and every answer has a Content-Length.";
    CloseUnannounced = "close-unannounced", ALL, "Connections close after each answer without the Connection line that says so.";
    NoCloseNotify = "no-close-notify", ALL, "Connections end without the TLS close_notify.";
    WrongAddressDropped = "wrong-address-dropped", ALL, "Connections from addresses that are not allowed are dropped; without a list 127.0.0.1 and ::1 are allowed.";
    OlderPathsToo = "older-paths-too", NOT_OLDEST, "The paths of older versions are answered too.";

    // The form of answers.
    FullBoaHeaders = "full-boa-headers", V1, "Every answer has the whole set of Boa's header fields.";
    MinimalHeaders = "minimal-headers", FULL_HEADERS, "Answers have only the two Access-control lines and Connection.";
    JsonWithLength = "json-with-length", ALL, "JSON answers have a Content-Length.";
    StatusLowerCase = "status-lower-case", NOT_P_SERIES, "The status words are success and failed.";
    StatusUpperCase = "status-upper-case", NOT_P_SERIES, "The status words are SUCCESS and FAILED.";
    StatusKeyCapital = "status-key-capital", NOT_P_SERIES, "The key of the status is Status instead of status.";
    FailureWord = "failure-word", NOT_P_SERIES, "The status of an error is Failure instead of Failed.";
    ErrnoAsNumber = "errno-as-number", NOT_P_SERIES, "errno is a number instead of a string.";
    UnsolicitedExtras = "unsolicited-extras", ALL, "JSON answers have unknown fields and much white space.";
    MissingTokenField = "missing-token-field", ALL, "A login succeeds without a token field.";
    BlankTokenField = "blank-token-field", ALL, "A login succeeds with a blank token.";
    MissingRandomField = "missing-random-field", NOT_P_SERIES, "get_random succeeds without a random field.";
    BlankRandomField = "blank-random-field", NOT_P_SERIES, "get_random succeeds with a blank random.";
    NoRecordingEcho = "no-recording-echo", ALL, "The answer that gives a ticket does not repeat the recording name.";

    // Logins and tokens.
    PortRequired10004 = "port-required-10004", PORT_DEMANDED, "A login without port fails with 10004, one with port 0 with 20008.";
    PortRequired20008 = "port-required-20008", PORT_DEMANDED, "A login without port, or with port 0, fails with 20008.";
    SecondLoginErasesFirst = "second-login-erases-first", NOT_P_SERIES, "A login erases every earlier token.";
    ExpiredTokenIs20006 = "expired-token-is-20006", NOT_P_SERIES, "A token that timed out is answered 20006 instead of 20004.";
    DownloadDoesNotProlong = "download-does-not-prolong", USE_PROLONGS, "A download does not prolong the life of its token.";
    TokenDeathCutsDownload = "token-death-cuts-download", ALL, "A running download is cut when its token dies.";
    TokenRefresh = "token-refresh", V2, "A login gives a refreshtoken, and token/refresh exchanges it, as on K2 and S1000.";
    RefreshRefused = "refresh-refused", REFRESHES, "token/refresh always fails with 20004; implies token-refresh.";
    RefreshKeepsOldToken = "refresh-keeps-old-token", REFRESHES, "The old token lives on after token/refresh; implies token-refresh.";
    RefreshRotatesNothing = "refresh-rotates-nothing", REFRESHES, "token/refresh answers the same refreshtoken, which stays good; implies token-refresh.";
    RefreshOutlivesToken = "refresh-outlives-token", REFRESHES, "A refreshtoken works after its token timed out; implies token-refresh.";
    NoRefreshTokenField = "no-refresh-token-field", CLOUD, "A login succeeds without a refreshtoken field.";
    BlankRefreshTokenField = "blank-refresh-token-field", REFRESHES, "A login succeeds with a blank refreshtoken; implies token-refresh.";

    // get_random.
    RandomForUnknownName = "random-for-unknown-name", NOT_P_SERIES, "get_random succeeds for unknown names; the download fails with 20012.";
    BlankNameIs20007 = "blank-name-is-20007", NOT_P_SERIES, "A blank recording name is answered 20007 instead of 10004.";
    FilesDeleted = "files-deleted", ALL, "Every recording has been deleted: 20014, or 60001 on a P-Series.";
    LateFile = "late-file", ALL, "The first two requests for a recording fail as unknown, with 20012 or 60001; the third succeeds.";
    AllowedIpIs30001 = "allowed-ip-is-30001", V1_0_1, "get_random with the unknown field allowedip fails with 30001.";
    InternalError20010 = "internal-error-20010", NOT_P_SERIES, "The first get_random for each recording fails with 20010.";
    InternalError20010Always = "internal-error-20010-always", NOT_P_SERIES, "Every get_random fails with 20010.";
    InternalError30001 = "internal-error-30001", NOT_P_SERIES, "The first get_random for each recording fails with 30001.";
    InternalError30001Always = "internal-error-30001-always", NOT_P_SERIES, "Every get_random fails with 30001.";
    Overload503Once = "overload-503-once", ALL, "The first get_random, or recording/download of a P-Series, for each recording is answered 503 with a page.";
    Overload503Always = "overload-503-always", ALL, "Every get_random, or recording/download of a P-Series, is answered 503 with a page.";
    GatewayTimeout504Once = "gateway-timeout-504-once", CLOUD, "The first get_random for each recording is answered 504 with a page by the cloud's front gateway.";
    GatewayTimeout504Always = "gateway-timeout-504-always", CLOUD, "Every get_random is answered 504 with a page by the cloud's front gateway.";
    SlowAnswers = "slow-answers", ALL, "Every answer is 20 s late, or as late as the builder says.";

    // The use of a ticket: from which address, with which token, how often.
    RequesterIsLoginPeer = "requester-is-login-peer", NOT_P_SERIES, "The address compared at a download is that of the login, not of get_random.";
    TokenBoundRandom = "token-bound-random", ALL, "A random, or the address of a file, works only with the token that asked for it, and dies with it.";
    WrongAddressIs403Html = "wrong-address-is-403-html", NOT_P_SERIES, "A download from a wrong address is answered 403 with a page.";
    CutDownloadSpendsNothing = "cut-download-spends-nothing", ALL, "A download that is cut does not spend its random, or the address of its file.";

    // Downloads.
    DownloadErrorsAre404Html = "download-errors-are-404-html", ALL, "Errors of downloads are 404 with a page.";
    DownloadErrorsAre403Html = "download-errors-are-403-html", ALL, "Errors of downloads are 403 with a page.";
    DownloadErrorsAreEmpty = "download-errors-are-empty", ALL, "Errors of downloads are 200 with an empty body.";
    DownloadWithLength = "download-with-length", NOT_P_SERIES, "Downloads have a Content-Length.";
    DownloadTypeAudio = "download-type-audio", NOT_P_SERIES, "Downloads have the type audio/x-wav.";
    DownloadTypeWav = "download-type-wav", ALL, "Downloads have the type audio/wav.";
    DownloadWithoutType = "download-without-type", ALL, "Downloads have no Content-Type.";
    DownloadWithDisposition = "download-with-disposition", ALL, "Downloads have a Content-Disposition with the file name.";
    DownloadChunked = "download-chunked", ALL, "Downloads come in chunks, without a Content-Length; one that is cut ends inside a chunk.";
    HonoursRange = "honours-range", ALL, "A download with a single Range is answered 206 or 416.";
    PlusIsSpace = "plus-is-space", NOT_P_SERIES, "A plus sign in a query stands for a space.";
    RawQuery = "raw-query", ALL, "Percent signs in a query are not decoded.";
    OneDownloadAtATime = "one-download-at-a-time", ALL, "A second download waits until the first has ended.";
    BusyIs503 = "busy-is-503", ALL, "A third download at a time is answered 503 with a page; its random is not spent.";
    GrowingFile = "growing-file", ALL, "The first download of each recording sends only its first half, with a RIFF size of 0; later ones send all of it.";

    // P-Series: the form of answers.
    ErrcodeAsString = "errcode-as-string", P_SERIES, "errcode is a string instead of a number.";
    WithoutMessage = "without-message", P_SERIES, "Answers have no errmsg.";
    PlusIsPlus = "plus-is-plus", P_SERIES, "A plus sign in a query stands for itself.";

    // P-Series: tokens, and permission to call the API.
    NoRefreshToken = "no-refresh-token", P_SERIES, "Answers that give an access token give no refresh token.";
    LifetimesMissing = "lifetimes-missing", P_SERIES, "Answers that give tokens do not tell how long they live.";
    OldAccessTokenLivesOn = "old-access-token-lives-on", P_SERIES, "A refresh leaves the old access token alive; it takes no second slot.";
    RefreshFails = "refresh-fails", P_SERIES, "Every refresh_token fails with -1.";
    RefreshNeedsSlot = "refresh-needs-slot", P_SERIES, "A refresh whose access token has ended needs a free slot, and fails with 60002 without one.";
    LockoutBlocksEveryCall = "lockout-blocks-every-call", P_SERIES, "An address that is locked out gets 70004 for every call, not only for get_token.";
    TokenDiesBetween = "token-dies-between", P_SERIES, "The access token ends between the address and the first download of each recording, which fails with 10004.";
    AccessDenied10005 = "access-denied-10005", P_SERIES, "The application may not download: recording/download fails with 10005.";
    ListDenied10005 = "list-denied-10005", P_SERIES, "The application may not list: recording/list and recording/search fail with 10005.";
    IpForbidden70087 = "ip-forbidden-70087", P_SERIES, "The application may not be used from this address: every call fails with 70087.";
    ApiOff70123 = "api-off-70123", P_SERIES, "The API is switched off: every call fails with 70123.";

    // P-Series: recording/download.
    Processing2Once = "processing-2-once", P_SERIES, "The first recording/download for each recording is answered 2, still working.";
    Processing2Always = "processing-2-always", P_SERIES, "Every recording/download is answered 2, still working.";
    PartialSuccess1 = "partial-success-1", P_SERIES, "Every good answer to recording/download has the code 1, partial success.";
    Overload70082Once = "overload-70082-once", P_SERIES, "The first recording/download for each recording fails with 70082.";
    Overload70082Always = "overload-70082-always", P_SERIES, "Every recording/download fails with 70082.";
    InternalMinus2Once = "internal-minus-2-once", P_SERIES, "The first recording/download for each recording fails with -2.";
    InternalMinus2Always = "internal-minus-2-always", P_SERIES, "Every recording/download fails with -2.";
    UnknownFileIs40002 = "unknown-file-is-40002", P_SERIES, "A recording that is not there is answered 40002 instead of 60001.";
    UnknownFileIsMinus1 = "unknown-file-is-minus-1", P_SERIES, "A recording that is not there is answered -1 instead of 60001.";

    // P-Series: the address of the file.
    ResourceUrlSingleUse = "resource-url-single-use", P_SERIES, "The address of a file is good once.";
    ResourceUrlAbsolute = "resource-url-absolute", P_SERIES, "The address of a file has scheme, host and port, those of the box.";
    ResourceUrlElsewhere = "resource-url-elsewhere", P_SERIES, "The address of a file is on another host, evil.example.";
    ResourceUrlProtocolRelative = "resource-url-protocol-relative", P_SERIES, "The address of a file names another host without a scheme, //evil.example.";
    ResourceUrlBackslash = "resource-url-backslash", P_SERIES, "The address of a file names another host behind backslashes or a tab, as lenient parsers read it; each one in another way.";
    ResourceUrlLineBreak = "resource-url-line-break", P_SERIES, "The address of a file holds a line break and a header field.";
    ResourceUrlWithQuery = "resource-url-with-query", P_SERIES, "The address of a file has a query already.";
    ResourceUrlMissing = "resource-url-missing", P_SERIES, "recording/download succeeds without an address.";
    ResourceUrlBlank = "resource-url-blank", P_SERIES, "recording/download succeeds with a blank address.";
    DownloadAttachmentPrefix = "download-attachment-prefix", P_SERIES, "The address of a file begins with /api/downloadattachment/.";
    Mp3ResourceSuffix = "mp3-resource-suffix", P_SERIES, "The address of a file ends in .mp3, whatever the recording's name ends in.";

    // P-Series: the file.
    RasLoginShell = "ras-login-shell", P_SERIES, "A download whose token is not accepted gets 200 with the login page, as remote-access hosts answer.";
    DownloadWithoutLength = "download-without-length", P_SERIES, "Files have no Content-Length.";
    DownloadTypeOctetStream = "download-type-octet-stream", P_SERIES, "Files have the type application/octet-stream.";

    // P-Series: recording/list and recording/search.
    ListPageCapped = "list-page-capped", P_SERIES, "A page holds 37 recordings at most, whatever page_size says.";
    ListTotalMissing = "list-total-missing", P_SERIES, "Lists have no total_number.";
    ListNumbersAsStrings = "list-numbers-as-strings", P_SERIES, "Numbers in lists are strings.";
    ListTime12h = "list-time-12h", P_SERIES, "Times in lists are written MM/DD/YYYY hh:mm:ss AM or PM.";
    ListSizeZero = "list-size-zero", P_SERIES, "Every size in lists is 0.";
    ListDurationZero = "list-duration-zero", P_SERIES, "Every duration in lists is 0, as in the documented samples.";
    OldListFields = "old-list-fields", P_SERIES, "Lists lack call_from_number and its three likes, as in older firmware.";
    SearchIgnoresFilters = "search-ignores-filters", P_SERIES, "recording/search ignores its filters and lists every recording.";

    // The CDR.
    Cdr504Once = "cdr-504-once", WITH_CDR, "The first cdr/download is answered 504 with a page; its random is spent.";
    Cdr504Always = "cdr-504-always", WITH_CDR, "Every cdr/download is answered 504 with a page; its random is spent.";
    CdrRandomForNobody = "cdr-random-for-nobody", WITH_CDR, "cdr/get_random succeeds, and every cdr/download fails with 20013.";
    CdrErrorsAreHtml = "cdr-errors-are-html", WITH_CDR, "Errors of cdr/download are 200 with the login page of the web interface.";
    CdrWithLength = "cdr-with-length", WITH_CDR, "The CDR has a Content-Length.";
    CsvBom = "csv-bom", WITH_CDR, "The CDR begins with the byte order mark of UTF-8.";
    CsvQuoted = "csv-quoted", WITH_CDR, "All values of the CDR are quoted, the names of its columns too.";
    CsvBlanks = "csv-blanks", WITH_CDR, "Blanks stand around the values of the CDR and the names of its columns.";
    CsvCrlf = "csv-crlf", WITH_CDR, "Lines of the CDR end in CR LF instead of LF.";
    CsvColumnsReordered = "csv-columns-reordered", WITH_CDR, "The columns of the CDR stand in the opposite order.";
    CsvCapitalHeader = "csv-capital-header", WITH_CDR, "The names of the CDR's columns are in capitals.";
    CsvNewestFirst = "csv-newest-first", WITH_CDR, "The latest call stands first in the CDR.";
    CsvRowsRepeat = "csv-rows-repeat", WITH_CDR, "Each call is in the CDR twice, with the same callid and recording, the second time 7 s later.";
    CsvExtraColumns = "csv-extra-columns", WITH_CDR, "The CDR has an unknown column at either end.";
    CsvWithoutRecordingColumn = "csv-without-recording-column", WITH_CDR, "The CDR has no column recording.";
    CsvHeaderOnly = "csv-header-only", WITH_CDR, "The CDR has the names of its columns and no rows.";
    CsvEmptyBody = "csv-empty-body", WITH_CDR, "The CDR is empty, without even the names of its columns.";
    CsvNameWithCommaAndQuote = "csv-name-with-comma-and-quote", WITH_CDR, "Callers in the CDR have names with a comma and quotation marks, quoted as in RFC 4180.";

    // The form of recordings. If several of these are set, the first in this list decides.
    Gsm = "gsm", ALL, "Recordings are WAV files in GSM 6.10.";
    HeaderOnly = "header-only", ALL, "Recordings are WAV headers without audio.";
    ZeroBytes = "zero-bytes", ALL, "Recordings are empty files.";
    RiffSizeZero = "riff-size-zero", ALL, "The RIFF size of recordings is 0.";
    RiffSizeMax = "riff-size-max", ALL, "The RIFF size of recordings is 0xFFFFFFFF.";
    Stereo = "stereo", P_SERIES, "Recordings have two channels, one for each side of the call.";
    Mp3 = "mp3", ALL, "Recordings are MP3 under a name that ends in .wav; a P-Series refuses a second download at a time then, with 70082.";
}

impl Switch {
    /// True if the switch has an effect on a box of this generation.
    pub fn applies_to(self, api: Api) -> bool {
        self.apis().contains(&api)
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Switch {
    type Err = UnknownSwitch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|switch| switch.as_str() == text)
            .ok_or_else(|| UnknownSwitch(text.to_owned()))
    }
}

/// The switches that are set on one box.
#[derive(Clone, Debug, Default)]
pub(super) struct Switches(HashSet<Switch>);

impl Switches {
    pub(super) fn set(&mut self, switch: Switch) {
        self.0.insert(switch);
    }

    pub(super) fn has(&self, switch: Switch) -> bool {
        self.0.contains(&switch)
    }

    /// Returns a switch that is set but does not apply to `api`, if there is one.
    pub(super) fn first_inapplicable(&self, api: Api) -> Option<Switch> {
        self.0
            .iter()
            .copied()
            .find(|switch| !switch.applies_to(api))
    }

    /// True if a login answers a refreshtoken, and `token/refresh` exists.
    pub(super) fn has_token_refresh(&self, api: Api) -> bool {
        let implied = [
            Switch::TokenRefresh,
            Switch::RefreshRefused,
            Switch::RefreshKeepsOldToken,
            Switch::RefreshRotatesNothing,
            Switch::RefreshOutlivesToken,
            Switch::BlankRefreshTokenField,
        ];
        api.is_cloud() || implied.into_iter().any(|switch| self.has(switch))
    }

    /// True if the listener speaks HTTP without TLS.
    pub(super) fn is_plain_http(&self) -> bool {
        self.has(Switch::PlainHttp) || self.has(Switch::RedirectFromPort80)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `DownloadErrorsAre404Html` → `download-errors-are-404-html`.
    fn kebab(name: &str) -> String {
        let mut text = String::new();
        let mut before = '-';
        for letter in name.chars() {
            let starts = letter.is_ascii_uppercase() && !text.is_empty();
            let number = letter.is_ascii_digit() && !before.is_ascii_digit() && !text.is_empty();
            if starts || number {
                text.push('-');
            }
            text.push(letter.to_ascii_lowercase());
            before = letter;
        }
        text
    }

    #[test]
    fn every_switch_parses_back_and_has_the_name_of_its_variant() {
        for &switch in Switch::ALL {
            assert_eq!(switch.to_string().parse(), Ok(switch));
            let named = kebab(&format!("{switch:?}")).replace("mp-3", "mp3");
            assert_eq!(named, switch.as_str());
            assert!(switch.about().ends_with('.'));
        }
        assert!("no-such-switch".parse::<Switch>().is_err());
    }

    #[test]
    fn a_switch_applies_to_its_generations_only() {
        assert!(Switch::FullBoaHeaders.applies_to(Api::SSeries110));
        assert!(!Switch::FullBoaHeaders.applies_to(Api::SSeries200));
        assert!(Switch::MinimalHeaders.applies_to(Api::SSeries200));
        assert!(!Switch::AllowedIpIs30001.applies_to(Api::SSeries110));
        assert!(Switch::OlderPathsToo.applies_to(Api::Cloud200));
        assert!(!Switch::OlderPathsToo.applies_to(Api::Cloud110));
        assert!(!Switch::TokenRefresh.applies_to(Api::Cloud110));
        assert!(!Switch::CsvBom.applies_to(Api::SSeries101));
        assert!(Switch::KeepAlive.applies_to(Api::PSeries));
        assert!(!Switch::RefreshFails.applies_to(Api::SSeries200));
    }
}
