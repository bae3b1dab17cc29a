//! The error numbers of the S-Series and Cloud PBX API that the simulator answers.
//!
//! Knows their digits and meaning. Does not know which request gets which number.
//!
//! Source: Yeastar, "S-Series API Guide", "Error Code Descriptions". It documents the texts of the
//! numbers, and not which malformed request gets which number.

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
    /// The recording does not exist.
    pub(super) const NO_SUCH_RECORDING: Self = Self::known("20012");
    /// The ticket is wrong (the English text calls it "captcha").
    pub(super) const BAD_RANDOM: Self = Self::known("20013");
    /// The recording has been deleted.
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

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
