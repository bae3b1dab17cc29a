//! A caller whose credential was verified, and no more.
//!
//! Knows that a browser sends credentials by itself. Does not know which page made it send one.

use super::Principal;

/// A verified caller, before it is known which page caused the request. Nobody's rights yet: a policy takes a
/// [`Principal`], and only [`Authenticated::admit`] gives one away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated(Principal);

impl Authenticated {
    pub(super) fn new(principal: Principal) -> Self {
        Self(principal)
    }

    /// Who it is, to be looked at.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0
    }

    /// Gives the principal away if `check` allows this credential in this request.
    ///
    /// # Errors
    /// The error of `check`.
    pub(crate) fn admit<E>(
        self,
        check: impl FnOnce(&Principal) -> Result<(), E>,
    ) -> Result<Principal, E> {
        check(&self.0)?;
        Ok(self.0)
    }
}
