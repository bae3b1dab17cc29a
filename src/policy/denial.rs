//! Reasons for a denial.
//!
//! Knows the reasons, and their texts for an operator. No text holds a telephone number or the name
//! of a recording.

use std::fmt;
use std::sync::Arc;

/// The reason why no grant was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// The policies deny, or cannot be evaluated.
    Denied {
        /// The ids of the policies that forbid it, in alphabetical order. Empty if no policy
        /// permits it, or if it is denied only because of a failure.
        policies: Vec<Arc<str>>,
        /// The failed evaluations. A single one is a denial, whatever the other policies say.
        failures: Vec<EvaluationFailure>,
    },
    /// The link token names another recording, or the same name on another PBX.
    LinkForAnotherRecording,
    /// A link token was used to share its recording.
    LinkMakesNoLinks,
    /// The issuer's tokens are for other PBXs.
    PbxOutOfReach,
}

/// A policy that could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationFailure {
    /// The id of the policy; `None` if the request itself cannot be expressed.
    pub policy: Option<Arc<str>>,
    /// The reason of the failure.
    pub reason: &'static str,
}

impl PolicyError {
    /// No policy permits it.
    pub(super) const NO_PERMIT: Self = Self::Denied {
        policies: Vec::new(),
        failures: Vec::new(),
    };

    /// Returns true if the policies or the issuer's limits deny, rather than the limits of a link.
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
                    let failures: Vec<_> =
                        failures.iter().map(EvaluationFailure::to_string).collect();
                    formatter.write_str(&failures.join(", "))
                }
            },
            Self::LinkForAnotherRecording => {
                formatter.write_str("the link is for another recording")
            }
            Self::LinkMakesNoLinks => formatter.write_str("a link cannot make links"),
            Self::PbxOutOfReach => formatter
                .write_str("tokens of this issuer are not for this PBX (pbxs in [[auth.issuer]])"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for EvaluationFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.policy {
            Some(policy) => write!(
                formatter,
                "policy {policy} cannot be evaluated: {}",
                self.reason
            ),
            None => write!(
                formatter,
                "the policies cannot be evaluated: {}",
                self.reason
            ),
        }
    }
}

/// Makes the error for a request that cannot be expressed in Cedar.
impl From<&'static str> for PolicyError {
    fn from(reason: &'static str) -> Self {
        Self::Denied {
            policies: Vec::new(),
            failures: vec![EvaluationFailure {
                policy: None,
                reason,
            }],
        }
    }
}
