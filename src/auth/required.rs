//! The claims that an issuer's bearer tokens must have beyond the claims that every one must have: for which audience, and of which kind.
//!
//! Knows how such a claim is judged. Does not know which issuer asks for it. Some issuers write no `aud` into their access tokens and
//! name the client in another claim; that one then decides, and only where `aud` is absent: a token for somebody else stays one.
//!
//! Source: Amazon Cognito, "Understanding the access token": `client_id` and `token_use`, and no `aud`. Documented; not observed.

use super::claims::{Claims, path};
use super::error::AuthError;

/// The key of the configuration that names another.
const KEY: &str = "audience_claim";

/// The claims that an issuer's tokens must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredClaims {
    /// The claim that holds the audience where there is no `aud`: a name, or a path to it.
    pub audience: String,
    /// Names of further claims, or paths to them, and the text that each must be.
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
    /// The claim that holds the audience where nothing else is configured.
    pub(crate) const AUDIENCE: &str = "aud";

    /// Checks the claims of a token, which stand in `json`, too; `audiences` are those that are meant here.
    ///
    /// # Errors
    /// When the audience is not among them, or a claim that is required does not say what it must.
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
        let value = path::find(json, &self.audience).ok_or(wrong("it stands there twice"))?;
        if value.is_nothing() {
            return Err(wrong("it is absent, and so is aud"));
        }
        let is_meant = value.names_one_of(audiences);
        match is_meant.ok_or(wrong("neither a text nor a list of texts"))? {
            true => Ok(()),
            false => Err(AuthError::WrongAudience("the claim of audience_claim")),
        }
    }
}
