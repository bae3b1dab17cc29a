//! The error numbers of the API that the simulator gives out.
//!
//! Knows their digits and meaning. Does not know when they are due.
//!
//! Source: Yeastar, "S-Series API Guide", "Error Code Descriptions" (API 1.0.1), and "API Error
//! Code" of the S1000 guide (1.1.0), where some numbers mean something else: `tests/fixtures` holds
//! both tables. Which number answers which malformed request is not documented beyond their texts.

use std::borrow::Cow;
use std::fmt;

/// The `errno` of a failed call: five digits, as a string.
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
    /// The login failed: locked out.
    pub(super) const LOCKED_OUT: Self = Self::known("20002");
    /// The login failed: wrong user name or password.
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
    /// The recording has been deleted; from API 1.1.0 on, it does not exist.
    pub(super) const DELETED: Self = Self::known("20014");
    /// Internal: error in the API code or JSON object.
    pub(super) const INTERNAL: Self = Self::known("30001");

    const fn known(digits: &'static str) -> Self {
        Self(Cow::Borrowed(digits))
    }

    /// Any other number, for a scripted fault.
    pub(super) fn other(digits: &str) -> Self {
        Self(Cow::Owned(digits.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The numbers that are not the same in every version of the API.
#[derive(Debug)]
pub(super) struct ErrnoTable {
    /// The recording does not exist.
    pub(super) no_such_recording: Errno,
    /// The random string does not open the recording.
    pub(super) bad_random: Errno,
    /// `allowedip` is no address; `None` where it is ignored then.
    pub(super) bad_allowed_ip: Option<Errno>,
    /// A time is not written as the CDR wants it.
    pub(super) bad_cdr_time: Errno,
    /// The random string does not open the CDR.
    pub(super) bad_cdr_random: Errno,
}

impl ErrnoTable {
    /// Those of API 1.0.1. 20013 is a wrong captcha in the English text.
    pub(super) const OLDER: Self = Self {
        no_such_recording: Errno::known("20012"),
        bad_random: Errno::known("20013"),
        bad_allowed_ip: None,
        bad_cdr_time: Errno::DATA_BLANK,
        bad_cdr_random: Errno::known("20013"),
    };

    /// Those of API 1.1.0 and later.
    pub(super) const NEWER: Self = Self {
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
