//! What an issuer says of its subjects beyond who they are: roles, extensions, tenant.
//!
//! Knows which claims say so, and what they may hold. Does not know what follows from it. Everything is bounded, since each
//! decision looks at all of it.
//!
//! A claim that is absent says nothing, and `null` or an empty text in its place says no more. Within a list, either is a mistake:
//! a list says what somebody is, and nobody can tell what was meant there.

use super::claims::{Value, path};
use super::error::AuthError;

/// One role, and one extension, may stand for so many bytes of the longest token.
const BYTES_FOR_A_VALUE: usize = 16;

/// The most roles, and the most extensions, where a token has so many bytes at most.
pub(super) fn max_values(max_token_bytes: usize) -> usize {
    max_token_bytes / BYTES_FOR_A_VALUE
}

/// Somebody's attributes, as the issuer has them. Those of a link are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub(super) roles: Vec<String>,
    pub(super) extensions: Vec<Extension>,
    pub(super) tenant: Option<String>,
}

impl Attributes {
    /// Attributes that no token was read for.
    pub(crate) fn new(
        roles: Vec<String>,
        extensions: Vec<Extension>,
        tenant: Option<String>,
    ) -> Self {
        Self {
            roles,
            extensions,
            tenant,
        }
    }
}

/// An extension of a PBX. The same number on another PBX is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    pub(super) pbx: String,
    pub(super) number: String,
}

/// Which claims of an issuer's tokens hold the attributes: names, or paths such as `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeClaims {
    /// A text or a list of texts.
    pub roles: String,
    /// A text or a list of texts, each `pbx/number`; the number alone where the issuer is for one PBX only.
    pub extensions: String,
    /// A text.
    pub tenant: String,
}

impl Default for AttributeClaims {
    fn default() -> Self {
        Self {
            roles: Self::ROLES.to_owned(),
            extensions: Self::EXTENSIONS.to_owned(),
            tenant: Self::TENANT.to_owned(),
        }
    }
}

impl AttributeClaims {
    /// The claim with the roles where nothing else is configured.
    pub(crate) const ROLES: &str = "roles";
    /// The same of extensions.
    pub(crate) const EXTENSIONS: &str = "extensions";
    /// The same of the tenant.
    pub(crate) const TENANT: &str = "tenant";

    /// Reads the attributes out of the claims of a token of an issuer for `pbxs`. A claim that is absent is empty.
    ///
    /// # Errors
    /// When a claim stands there twice or is of a wrong type, or a value is too long, or there are more than `max` of a claim.
    pub(super) fn read(
        &self,
        claims: &[u8],
        pbxs: Option<&[String]>,
        max: usize,
    ) -> Result<Attributes, AuthError> {
        let roles = names(claims, &self.roles, "roles_claim", max)?;
        let extensions = names(claims, &self.extensions, "extensions_claim", max)?;
        let only_pbx = match pbxs {
            Some([pbx]) => Some(pbx.as_str()),
            _ => None,
        };
        let extensions = extensions.iter().map(|text| {
            Extension::read(text, only_pbx)
                .map_err(|why| AuthError::Attribute("extensions_claim", why))
        });
        let mut tenants = names(claims, &self.tenant, "tenant_claim", max)?;
        if tenants.len() > 1 {
            return Err(AuthError::Attribute("tenant_claim", "more than one"));
        }
        Ok(Attributes {
            roles,
            extensions: extensions.collect::<Result<_, _>>()?,
            tenant: tenants.pop(),
        })
    }
}

/// The names that a claim holds: none, one, or a list of them. `key` is what the configuration calls the claim.
fn names(
    claims: &[u8],
    claim: &str,
    key: &'static str,
    max: usize,
) -> Result<Vec<String>, AuthError> {
    let wrong = |why| AuthError::Attribute(key, why);
    let value = path::find(claims, claim).ok_or(wrong("it stands there twice"))?;
    let values = match &value {
        Value::Absent | Value::Null => &[],
        Value::Text(text) if text.is_empty() => &[],
        Value::List(values) => values.as_slice(),
        Value::Text(_) => std::slice::from_ref(&value),
        Value::Seconds(_) | Value::Other => {
            return Err(wrong("neither a text nor a list of texts"));
        }
    };
    if values.len() > max {
        return Err(AuthError::TooManyValues { key, max });
    }
    let names = values.iter().map(|value| {
        value.text().ok_or(wrong("a value is not a text"))?;
        let name = value.name().map(str::to_owned);
        name.ok_or(wrong(
            "a value is not of 1 to 256 bytes without control characters",
        ))
    });
    names.collect()
}

impl Attributes {
    /// About so many bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let one = |text: &String| text.len() + size_of::<String>();
        let extensions = self.extensions.iter();
        let extensions = extensions.map(|extension| one(&extension.pbx) + one(&extension.number));
        self.roles.iter().map(one).sum::<usize>() + extensions.sum::<usize>()
    }

    /// What they are, as their issuer calls it.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The numbers that are theirs.
    #[must_use]
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Whom they belong to, where several share the gateway.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }
}

impl Extension {
    /// Reads `pbx/number`, or a number of the `only_pbx` that there is.
    ///
    /// # Errors
    /// What is wrong with it, in words that do not repeat it.
    pub(crate) fn read(text: &str, only_pbx: Option<&str>) -> Result<Self, &'static str> {
        let (pbx, number) = match (text.split_once('/'), only_pbx) {
            (Some(parts), _) => parts,
            (None, Some(pbx)) => (pbx, text),
            (None, None) => {
                return Err(
                    "a number without its PBX: write pbx/number, or limit the issuer to one PBX by pbxs",
                );
            }
        };
        // No recording's name has a slash in it.
        if pbx.is_empty() || number.is_empty() || number.contains('/') {
            return Err("an extension is not pbx/number");
        }
        Ok(Self {
            pbx: pbx.to_owned(),
            number: number.to_owned(),
        })
    }

    /// The configured name of its PBX.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
    }

    /// Its number there.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// `pbx/number`.
    pub(crate) fn text(&self) -> String {
        format!("{}/{}", self.pbx, self.number)
    }
}
