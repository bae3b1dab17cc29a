//! A caller whose credential was verified, but not yet admitted.
//!
//! Knows that a browser sends credentials by itself. Does not know which page caused the request.

use super::Principal;

/// A verified caller, before the page that caused the request is known. It has no rights yet: a
/// policy takes a [`Principal`], and only [`Authenticated::admit`] returns one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated(Principal);

impl Authenticated {
    pub(super) fn new(principal: Principal) -> Self {
        Self(principal)
    }

    /// The principal, for reading only.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0
    }

    /// Returns the principal if `check` allows this credential in this request.
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
