//! The identity of a principal, for counting.
//!
//! Knows an issuer and a subject. Does not know credentials or rights: an id proves nothing.

use std::sync::Arc;

/// An issuer and a subject of it. It is used for counting and proves nothing. It is cheap to clone,
/// and has no `Display`, so that it gets into no text by accident.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PrincipalId {
    issuer: Arc<str>,
    subject: Arc<str>,
}

impl PrincipalId {
    pub(crate) fn new(issuer: &str, subject: &str) -> Self {
        Self {
            issuer: issuer.into(),
            subject: subject.into(),
        }
    }

    /// Both as bytes that no other id has.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let length = (self.issuer.len() as u64).to_be_bytes();
        [&length, self.issuer.as_bytes(), self.subject.as_bytes()].concat()
    }

    /// The issuer that the subject belongs to.
    pub(crate) fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// The subject, unique within its issuer.
    pub(crate) fn subject(&self) -> &Arc<str> {
        &self.subject
    }
}
