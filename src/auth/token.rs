//! A token in JWS compact form, decoded but not yet verified.
//!
//! Knows the three segments, their limits, and the header members that are refused. Does not know
//! keys, and of the claims only that they are a JSON object. Everything here runs before the
//! signature is verified, so it is bounded and trusts nothing.
//!
//! A header may carry keys and certificates, or say where to get them (`jwk`, `jku`, `x5c`, `x5u`).
//! These members are skipped like any unknown one: they decide nothing, and nothing reads or
//! follows them.
//!
//! Sources: RFC 7515 §3.1 and §7.1 (compact form), §4 (header members: UTF-8, names must be unique,
//! unknown ones are ignored), §4.1.11 (`crit`), §5.2 (what to reject); RFC 7797 (`b64`); RFC 8725
//! §3.10 (do not follow received claims such as `jku`) and §3.11 (explicit typing); RFC 9068 §2.1
//! (`at+jwt`).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::algorithm::Algorithm;
use super::error::AuthError;
use super::key_id::KeyId;

/// The longest token, in bytes, if the longest request head is not configured.
pub(super) const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The three segments of a token, decoded.
pub(super) struct CompactToken<'t> {
    header: Vec<u8>,
    claims: Vec<u8>,
    signature: Vec<u8>,
    signed: &'t str,
}

impl<'t> CompactToken<'t> {
    /// Decodes a token of at most `max_bytes`. The header has no limit of its own.
    ///
    /// # Errors
    /// When the token is longer, or is not three non-empty segments of base64url without padding,
    /// the first two of them UTF-8.
    pub(super) fn decode(token: &'t str, max_bytes: usize) -> Result<Self, AuthError> {
        if token.len() > max_bytes {
            return Err(AuthError::TooLong { max_bytes });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NOT_COMPACT)?;
        let (header, claims) = signed.split_once('.').ok_or(NOT_COMPACT)?;
        Ok(Self {
            header: decode_text(header, "header is not UTF-8")?,
            claims: decode_text(claims, "claims are not UTF-8")?,
            signature: decode_segment(signature)?,
            signed,
        })
    }

    /// The header, after its members have been checked.
    ///
    /// # Errors
    /// When a member is refused, or the algorithm is unknown.
    pub(super) fn header(&self) -> Result<Header<'_>, AuthError> {
        let members: HeaderMembers<'_> =
            json_object(&self.header).ok_or(AuthError::Malformed("header is not as required"))?;
        members.check()?;
        let algorithm = members
            .alg
            .parse()
            .map_err(|_| AuthError::AlgorithmMismatch(KeyId::of(members.key_id())))?;
        Ok(Header {
            algorithm,
            key_id: members.kid.map(|kid| kid.0),
        })
    }

    /// The claims as JSON.
    pub(super) fn claims(&self) -> &[u8] {
        &self.claims
    }

    /// The signed bytes: the first two segments as they were received.
    pub(super) fn signed(&self) -> &'t [u8] {
        self.signed.as_bytes()
    }

    // A `Vec`, because the verifiers of the library take one.
    pub(super) fn signature(&self) -> &Vec<u8> {
        &self.signature
    }
}

const NOT_COMPACT: AuthError = AuthError::Malformed("not three segments of base64url");

fn decode_segment(segment: &str) -> Result<Vec<u8>, AuthError> {
    if segment.is_empty() {
        return Err(NOT_COMPACT);
    }
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| NOT_COMPACT)
}

/// JSON is always UTF-8 (RFC 7515 §4, RFC 7519 §3). Checked here, since a parser does not look at
/// members that it skips.
fn decode_text(segment: &str, otherwise: &'static str) -> Result<Vec<u8>, AuthError> {
    let text = decode_segment(segment)?;
    match str::from_utf8(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(AuthError::Malformed(otherwise)),
    }
}

/// Reads a JSON object; `None` for any other JSON, since serde would also read a structure from an
/// array.
///
/// A member that the structure names must not be repeated. Unknown members are skipped.
pub(super) fn json_object<'j, T: Deserialize<'j>>(json: &'j [u8]) -> Option<T> {
    json.trim_ascii_start()
        .starts_with(b"{")
        .then(|| serde_json::from_slice(json).ok())
        .flatten()
}

/// The parts of a header that verification needs.
pub(super) struct Header<'t> {
    algorithm: Algorithm,
    key_id: Option<Cow<'t, str>>,
}

impl Header<'_> {
    /// The algorithm that the token names. It never chooses how a key is used, only which keys are
    /// not tried.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// The header members that matter. Those of type `bool` record that a member is present, whatever
/// its value.
#[derive(Deserialize)]
struct HeaderMembers<'t> {
    #[serde(borrow)]
    alg: Cow<'t, str>,
    #[serde(borrow, default, deserialize_with = "not_null")]
    kid: Option<JsonText<'t>>,
    #[serde(borrow, default, deserialize_with = "not_null")]
    typ: Option<JsonText<'t>>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
}

/// A string that is borrowed if its JSON has no escapes. Serde does not do that for an optional
/// string by itself.
#[derive(Deserialize)]
struct JsonText<'t>(#[serde(borrow)] Cow<'t, str>);

impl HeaderMembers<'_> {
    fn key_id(&self) -> Option<&str> {
        self.kid.as_ref().map(|kid| kid.0.as_ref())
    }

    fn check(&self) -> Result<(), AuthError> {
        if self.key_id() == Some("") {
            return Err(AuthError::Malformed("header has an empty kid"));
        }
        if self.crit || self.b64 {
            return Err(AuthError::Malformed("header has extensions"));
        }
        if self.enc || self.zip {
            return Err(AuthError::Malformed("encrypted or compressed"));
        }
        if !self.typ.as_ref().is_none_or(|typ| is_jwt(&typ.0)) {
            return Err(AuthError::Malformed(
                "header says it is another kind of token",
            ));
        }
        Ok(())
    }
}

/// Returns true if a `typ` is that of a JWT or of an access token. It is a media type, so case does
/// not matter and its prefix may be absent.
///
/// Other types, such as `logout+jwt` or `dpop+jwt`, come from the same issuers and keys and have
/// another meaning.
fn is_jwt(typ: &str) -> bool {
    let typ = match typ.split_at_checked(APPLICATION.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(APPLICATION) => rest,
        _ => typ,
    };
    typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
}

const APPLICATION: &str = "application/";

fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    member: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(member).map(Some)
}

fn present<'de, D: Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(member).map(|_| true)
}
