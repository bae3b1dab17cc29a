//! Who may hear what: (principal, recording) → grant.
//!
//! Knows one rule for everybody, and that a link reaches no further than the recording it names. Does not know tokens,
//! whether the recording exists, or the PBX. Pure: no clock, no I/O.

use super::principal::{Credential, Principal};
use crate::recording::RecordingName;

/// The rules in force.
#[derive(Clone, Debug)]
pub struct Policy(Rule);

#[derive(Clone, Copy, Debug)]
enum Rule {
    Everyone,
    Nobody,
}

/// The positive decision: this principal may hear this recording now. Only a policy makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    principal: Principal,
    pbx: String,
    recording: RecordingName,
}

/// Somebody who may look at the list of a PBX: at each recording in it that they may hear. Only a policy makes one.
#[derive(Debug)]
pub struct Viewer<'p> {
    policy: &'p Policy,
    principal: Principal,
    pbx: String,
}

/// Why there is no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The rules say no.
    #[error("the policy denies it")]
    Denied,
    /// The link token names another recording, or the same name on another PBX.
    #[error("the link is for another recording")]
    LinkForAnotherRecording,
}

impl Policy {
    /// Whoever is authenticated may hear every recording; a link token still only the one it names.
    #[must_use]
    pub fn everyone() -> Self {
        Self(Rule::Everyone)
    }

    /// Nobody may hear anything: the rule where none is configured.
    #[must_use]
    pub fn nobody() -> Self {
        Self(Rule::Nobody)
    }

    /// Decides whether a principal may hear a recording of a PBX.
    ///
    /// # Errors
    /// When the rules deny it, or a link token is used beyond its scope.
    pub fn authorize(
        &self,
        principal: Principal,
        pbx: &str,
        recording: RecordingName,
    ) -> Result<Grant, PolicyError> {
        if let Credential::Link(scope) = principal.credential()
            && (scope.pbx() != pbx || *scope.recording() != recording)
        {
            return Err(PolicyError::LinkForAnotherRecording);
        }
        match self.0 {
            Rule::Everyone => Ok(Grant {
                principal,
                pbx: pbx.to_owned(),
                recording,
            }),
            Rule::Nobody => Err(PolicyError::Denied),
        }
    }
}

impl Policy {
    /// Whether what was granted is still allowed, by these rules.
    #[must_use]
    pub fn still_allows(&self, grant: &Grant) -> bool {
        let principal = grant.principal.clone();
        let decided = self.authorize(principal, &grant.pbx, grant.recording.clone());
        decided.is_ok()
    }

    /// Lets a principal look at the list of a PBX.
    ///
    /// # Errors
    /// When the credential is a link, which reaches no further than its recording.
    pub fn view(&self, principal: Principal, pbx: &str) -> Result<Viewer<'_>, PolicyError> {
        match principal.credential() {
            Credential::Link(_) => Err(PolicyError::LinkForAnotherRecording),
            Credential::Bearer => Ok(Viewer {
                policy: self,
                principal,
                pbx: pbx.to_owned(),
            }),
        }
    }
}

impl Viewer<'_> {
    /// Who looks.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether they may hear this recording.
    #[must_use]
    pub fn may_hear(&self, recording: &RecordingName) -> bool {
        let principal = self.principal.clone();
        let grant = self
            .policy
            .authorize(principal, &self.pbx, recording.clone());
        grant.is_ok()
    }
}

impl Grant {
    /// Who may hear it.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The configured name of the PBX that has it.
    #[must_use]
    pub fn pbx(&self) -> &str {
        &self.pbx
    }

    /// The recording.
    #[must_use]
    pub fn recording(&self) -> &RecordingName {
        &self.recording
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::link::LinkScope;
    use super::super::principal::PrincipalId;
    use super::*;

    const NAME: &str = "20170901181806-1504261084.7-1001-1003-Internal.wav";

    fn principal(credential: Credential) -> Principal {
        Principal {
            id: PrincipalId::new("https://sso.example", "alice"),
            credential,
            token_id: None,
            issued_at: None,
            expires_at: SystemTime::UNIX_EPOCH,
        }
    }

    fn link() -> Principal {
        principal(Credential::Link(LinkScope {
            recording: NAME.parse().unwrap(),
            pbx: "office".to_owned(),
        }))
    }

    #[track_caller]
    fn check(
        policy: &Policy,
        principal: Principal,
        pbx: &str,
        name: &str,
        expected: Result<(), PolicyError>,
    ) {
        let decision = policy.authorize(principal.clone(), pbx, name.parse().unwrap());
        assert_eq!(
            decision.as_ref().map(|_| ()).map_err(|error| *error),
            expected
        );
        if let Ok(grant) = decision {
            assert_eq!(
                (grant.principal(), grant.pbx(), grant.recording().as_str()),
                (&principal, pbx, name)
            );
        }
    }

    #[test]
    fn a_list_shows_what_may_be_heard_and_a_link_opens_none() {
        let name: RecordingName = NAME.parse().unwrap();
        for (policy, expected) in [(Policy::everyone(), true), (Policy::nobody(), false)] {
            let viewer = policy
                .view(principal(Credential::Bearer), "office")
                .unwrap();
            assert_eq!(viewer.may_hear(&name), expected);
            let refused = policy.view(link(), "office").map(drop);
            assert_eq!(refused, Err(PolicyError::LinkForAnotherRecording));
        }
    }

    #[test]
    fn a_link_reaches_no_further_than_its_recording() {
        let (everyone, nobody) = (Policy::everyone(), Policy::nobody());
        check(
            &everyone,
            principal(Credential::Bearer),
            "office",
            NAME,
            Ok(()),
        );
        check(
            &everyone,
            principal(Credential::Bearer),
            "branch",
            "other.wav",
            Ok(()),
        );
        check(&everyone, link(), "office", NAME, Ok(()));
        check(
            &everyone,
            link(),
            "office",
            "other.wav",
            Err(PolicyError::LinkForAnotherRecording),
        );
        check(
            &everyone,
            link(),
            "branch",
            NAME,
            Err(PolicyError::LinkForAnotherRecording),
        );
        check(
            &everyone,
            link(),
            "Office",
            NAME,
            Err(PolicyError::LinkForAnotherRecording),
        );
        check(
            &nobody,
            principal(Credential::Bearer),
            "office",
            NAME,
            Err(PolicyError::Denied),
        );
        check(&nobody, link(), "office", NAME, Err(PolicyError::Denied));
        check(
            &nobody,
            link(),
            "office",
            "other.wav",
            Err(PolicyError::LinkForAnotherRecording),
        );
    }
}
