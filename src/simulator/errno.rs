//! The error numbers of the S-Series and Cloud PBX API that the simulator answers.
//!
//! Knows their digits and meaning. Does not know which request gets which number.
//!
//! Source: Yeastar, "S-Series API Guide", "Error Code Descriptions" (API 1.0.1). The page "API
//! Error Code" of the S1000 (1.1.0) has another table, [`ErrnoTable::S1000`]. Both document the
//! texts of the numbers, and not which malformed request gets which number. `tests/fixtures` holds
//! both.

use std::borrow::Cow;
use std::fmt;

/// The `errno` of a failed call: five digits, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Errno(Cow<'static, str>);

impl Errno {
    /// The API request is not supported.
    pub(super) const UNSUPPORTED: Self = Self::known("10003");
    /// A required parameter is blank.
    pub(super) const PARAMETER_BLANK: Self = Self::known("10004");
    /// Only JSON is supported.
    pub(super) const NOT_JSON: Self = Self::known("20000");
    /// Only POST is supported.
    pub(super) const NOT_POST: Self = Self::known("20001");
    /// The login failed, because the address is locked out.
    pub(super) const LOCKED_OUT: Self = Self::known("20002");
    /// The login failed, because the user name or password is wrong.
    pub(super) const BAD_CREDENTIALS: Self = Self::known("20003");
    /// There is no such token.
    pub(super) const NO_SUCH_TOKEN: Self = Self::known("20004");
    /// The token is blank.
    pub(super) const TOKEN_BLANK: Self = Self::known("20005");
    /// The token has timed out.
    pub(super) const TOKEN_TIMED_OUT: Self = Self::known("20006");
    /// The data are blank.
    pub(super) const DATA_BLANK: Self = Self::known("20007");
    /// The port is wrong.
    pub(super) const BAD_PORT: Self = Self::known("20008");
    /// The request is blank.
    pub(super) const REQUEST_BLANK: Self = Self::known("20009");
    /// The request could not be passed to the internal API server.
    pub(super) const NOT_PASSED_ON: Self = Self::known("20010");
    /// The recording has been deleted; in the table of the S1000, it does not exist.
    pub(super) const DELETED: Self = Self::known("20014");
    /// An internal error in the API code or JSON object.
    pub(super) const INTERNAL: Self = Self::known("30001");

    const fn known(digits: &'static str) -> Self {
        Self(Cow::Borrowed(digits))
    }

    /// Returns another number, for a scripted fault.
    pub(super) fn other(digits: &str) -> Self {
        Self(Cow::Owned(digits.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The numbers on which the two tables differ.
#[derive(Debug)]
pub(super) struct ErrnoTable {
    /// The recording does not exist.
    pub(super) no_such_recording: Errno,
    /// The ticket for a recording is wrong.
    pub(super) bad_random: Errno,
    /// `allowedip` is not an address. `None`: the box ignores it.
    pub(super) bad_allowed_ip: Option<Errno>,
    /// A time of the CDR is malformed.
    pub(super) bad_cdr_time: Errno,
    /// The ticket for the CDR is wrong.
    pub(super) bad_cdr_random: Errno,
}

impl ErrnoTable {
    /// The table of API 1.0.1. Its English text for 20013 is "wrong captcha".
    pub(super) const S_SERIES: Self = Self {
        no_such_recording: Errno::known("20012"),
        bad_random: Errno::known("20013"),
        bad_allowed_ip: None,
        bad_cdr_time: Errno::DATA_BLANK,
        bad_cdr_random: Errno::known("20013"),
    };

    /// The table of API 1.1.0 in the guide of the S1000.
    pub(super) const S1000: Self = Self {
        no_such_recording: Errno::known("20014"),
        bad_random: Errno::known("20012"),
        bad_allowed_ip: Some(Errno::known("20015")),
        bad_cdr_time: Errno::known("20019"),
        bad_cdr_random: Errno::known("20020"),
    };
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
