//! Why there is no grant.
//!
//! Knows the reasons, and how an operator is told. No text holds a number or a name of a recording.

use std::fmt;
use std::sync::Arc;

/// Why there is no grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// The policies say no, or cannot be evaluated.
    Denied {
        /// The ids of the policies that forbid it, in alphabetical order; none where no policy permits it, or where one could
        /// not be evaluated.
        policies: Vec<Arc<str>>,
        /// What could not be evaluated; anything here is a denial, whatever the other policies say.
        failures: Vec<Failure>,
    },
    /// The link token names another recording, or the same name on another PBX.
    LinkForAnotherRecording,
    /// A link token was to share its recording.
    LinkMakesNoLinks,
    /// The issuer's tokens are for other PBXs.
    PbxOutOfReach,
}

/// A policy that could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its id; `None` where it is the request that no policy can be asked about.
    pub policy: Option<Arc<str>>,
    /// What went wrong.
    pub what: &'static str,
}

impl PolicyError {
    /// No policy permits it.
    pub(super) const DEFAULT: Self = Self::Denied {
        policies: Vec::new(),
        failures: Vec::new(),
    };

    /// Whether it is the policies that deny, or the issuer's limits, rather than a link that is used for something else.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        !matches!(self, Self::LinkForAnotherRecording | Self::LinkMakesNoLinks)
    }

    /// The ids of the policies that forbid it.
    #[must_use]
    pub fn policies(&self) -> &[Arc<str>] {
        match self {
            Self::Denied { policies, .. } => policies,
            Self::LinkForAnotherRecording | Self::LinkMakesNoLinks | Self::PbxOutOfReach => &[],
        }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { policies, failures } => match (policies.as_slice(), failures.as_slice())
            {
                ([], []) => formatter.write_str("no policy permits it"),
                (policies, []) => write!(formatter, "forbidden by {}", policies.join(", ")),
                (_, failures) => {
                    let failures: Vec<_> = failures.iter().map(Failure::to_string).collect();
                    formatter.write_str(&failures.join(", "))
                }
            },
            Self::LinkForAnotherRecording => {
                formatter.write_str("the link is for another recording")
            }
            Self::LinkMakesNoLinks => formatter.write_str("a link makes no links"),
            Self::PbxOutOfReach => formatter
                .write_str("tokens of this issuer are not for this PBX (pbxs in [[auth.issuer]])"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(policy) => write!(
                formatter,
                "policy {policy} cannot be evaluated: {}",
                self.what
            ),
            None => write!(formatter, "the policies cannot be asked: {}", self.what),
        }
    }
}

/// For a request that no policy can be asked about.
impl From<&'static str> for PolicyError {
    fn from(what: &'static str) -> Self {
        Self::Denied {
            policies: Vec::new(),
            failures: vec![Failure { policy: None, what }],
        }
    }
}
