//! The attributes of a subject beyond its identity: roles, extensions, tenant.
//!
//! Knows which claims hold them and which values are allowed. Does not know what a policy makes of
//! them. Everything is bounded, since each decision looks at all of it.
//!
//! A claim that is absent, `null` or an empty text gives no attribute. Inside a list, `null` and an
//! empty text are errors: the list states attributes, and the meaning of an empty one is unclear.

use super::claims::{ClaimValue, path};
use super::error::AuthError;

/// Bounds the number of values: one role, or one extension, for each so many bytes of the longest
/// token.
const MIN_BYTES_PER_VALUE: usize = 16;

/// The most roles, and the most extensions, when a token has at most `max_token_bytes`.
pub(super) fn max_values(max_token_bytes: usize) -> usize {
    max_token_bytes / MIN_BYTES_PER_VALUE
}

/// The attributes of a subject as its issuer states them. A link has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub(crate) roles: Vec<String>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) tenant: Option<String>,
}

impl Attributes {
    /// Makes attributes that come from no token.
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

/// An extension of a PBX. The same number on another PBX is another extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    pub(super) pbx: String,
    pub(super) number: String,
}

/// The claims of an issuer's tokens that hold the attributes: names, or paths such as
/// `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeClaims {
    /// A text or a list of texts.
    pub roles: String,
    /// A text or a list of texts, each `pbx/number`, or the number alone if the issuer covers one
    /// PBX only.
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
    /// The default claim for the roles.
    pub(crate) const ROLES: &str = "roles";
    /// The default claim for the extensions.
    pub(crate) const EXTENSIONS: &str = "extensions";
    /// The default claim for the tenant.
    pub(crate) const TENANT: &str = "tenant";

    /// Reads the attributes from the claims of a token whose issuer covers `pbxs`. An absent claim
    /// gives none.
    ///
    /// # Errors
    /// When a claim is repeated or has a wrong type, a value is too long, or a claim has more than
    /// `max` values.
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

/// The names that a claim holds: none, one, or a list. `key` is the configuration key that names
/// the claim.
fn names(
    claims: &[u8],
    claim: &str,
    key: &'static str,
    max: usize,
) -> Result<Vec<String>, AuthError> {
    let wrong = |why| AuthError::Attribute(key, why);
    let value = path::find(claims, claim).ok_or(wrong("it is repeated"))?;
    let values = match &value {
        ClaimValue::Absent | ClaimValue::Null => &[],
        ClaimValue::Text(text) if text.is_empty() => &[],
        ClaimValue::List(values) => values.as_slice(),
        ClaimValue::Text(_) => std::slice::from_ref(&value),
        ClaimValue::Seconds(_) | ClaimValue::Other => {
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
    /// Approximate memory use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let one = |text: &String| text.len() + size_of::<String>();
        let extensions = self.extensions.iter();
        let extensions = extensions.map(|extension| one(&extension.pbx) + one(&extension.number));
        self.roles.iter().map(one).sum::<usize>() + extensions.sum::<usize>()
    }

    /// The roles, in the issuer's words.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The extensions of the subject.
    #[must_use]
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The tenant, if several tenants share the gateway.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }
}

impl Extension {
    /// Reads `pbx/number`, or a bare number if `only_pbx` is given.
    ///
    /// # Errors
    /// The mistake in words, without the text itself.
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
        // No name of a PBX has a slash in it.
        if pbx.is_empty() || number.is_empty() || number.contains('/') {
            return Err("an extension is not pbx/number");
        }
        Ok(Self {
            pbx: pbx.to_owned(),
            number: number.to_owned(),
        })
    }

    /// The configured name of the extension's PBX.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
    }

    /// The extension's number on that PBX.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// `pbx/number`.
    pub(crate) fn text(&self) -> String {
        format!("{}/{}", self.pbx, self.number)
    }
}
