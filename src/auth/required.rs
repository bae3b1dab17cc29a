//! The further claims that the bearer tokens of one issuer must have: the audience, and claims with
//! fixed values.
//!
//! Knows how such a claim is checked. Does not know which issuer requires it. Some issuers write no
//! `aud` into their access tokens and name the client in another claim. That claim decides only if
//! `aud` is absent: a token whose `aud` is for somebody else stays refused.
//!
//! Source: Amazon Cognito, "Understanding the access token": `client_id` and `token_use`, and no
//! `aud`. Documented; not observed.

use super::claims::{Claims, path};
use super::error::AuthError;

/// The configuration key that names another claim.
const KEY: &str = "audience_claim";

/// The claims that an issuer's tokens must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaims {
    /// The claim that holds the audience if there is no `aud`: a name, or a path to it.
    pub audience: String,
    /// Names of further claims, or paths to them, with the required text of each.
    pub texts: Vec<(String, String)>,
}

impl Default for RequiredClaims {
    fn default() -> Self {
        Self {
            audience: Self::AUDIENCE.to_owned(),
            texts: Vec::new(),
        }
    }
}

impl RequiredClaims {
    /// The default claim for the audience.
    pub(crate) const AUDIENCE: &str = "aud";

    /// Checks the claims of a token. `json` holds the same claims; `audiences` are the accepted
    /// ones.
    ///
    /// # Errors
    /// When the audience is not accepted, or a required claim has another value.
    pub(super) fn check(
        &self,
        claims: &Claims<'_>,
        json: &[u8],
        audiences: &[String],
    ) -> Result<(), AuthError> {
        if self.audience == Self::AUDIENCE || claims.has_audience() {
            claims.require_audience(audiences)?;
        } else {
            self.require_audience(json, audiences)?;
        }
        for (claim, expected) in &self.texts {
            let found = path::find(json, claim);
            if found.as_ref().and_then(|value| value.text()) != Some(expected) {
                return Err(AuthError::Required(claim.clone()));
            }
        }
        Ok(())
    }

    fn require_audience(&self, json: &[u8], audiences: &[String]) -> Result<(), AuthError> {
        let wrong = |why| AuthError::Attribute(KEY, why);
        let value = path::find(json, &self.audience).ok_or(wrong("it is repeated"))?;
        if value.is_null_or_absent() {
            return Err(wrong("it is absent, and so is aud"));
        }
        let is_meant = value.names_one_of(audiences);
        match is_meant.ok_or(wrong("neither a text nor a list of texts"))? {
            true => Ok(()),
            false => Err(AuthError::WrongAudience("the claim of audience_claim")),
        }
    }
}
