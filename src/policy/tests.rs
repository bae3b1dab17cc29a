//! Policies: their decisions, and the mistakes that are refused.

mod decisions;
mod files;
mod reuse;
mod starters;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::principal::PrincipalId;
use super::*;
use crate::auth::attributes::{Attributes, Extension};
use crate::auth::link::LinkScope;

const STARTERS: &str = include_str!("../../config/policy.cedar");
const NAME: &str = "20170901181806-1504261084.7-1001-1003-Internal.wav";
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// The starter policies, with those that are commented out switched on.
fn all_starters() -> String {
    let (open, commented) = STARTERS.split_once("// @id(\"not-too-old\")").unwrap();
    let lines = commented.lines().map(|line| {
        let code = line
            .strip_prefix("// ")
            .filter(|_| !line.starts_with("// One") && !line.starts_with("// Links"));
        code.unwrap_or(line)
    });
    let commented: Vec<&str> = lines.collect();
    format!("{open}@id(\"not-too-old\"){}", commented.join("\n"))
}

fn parse(text: &str) -> Policy {
    let groups = Groups::new([(
        "office".to_owned(),
        vec![(
            "6400".to_owned(),
            vec!["1001".to_owned(), "1002".to_owned()],
        )],
    )]);
    Policy::parse(text, groups).unwrap_or_else(|flaws| panic!("{flaws:?}"))
}

fn name(text: &str) -> RecordingName {
    text.parse().unwrap()
}

/// One hour after the start of the call in [`NAME`].
fn context() -> Context {
    Context {
        source: SOURCE,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_504_261_084 + 3_600),
    }
}

fn principal(credential: Credential, attributes: Attributes) -> Principal {
    let id = PrincipalId::new("https://sso.example", "alice");
    Principal::for_policy_trial(id, credential, attributes, None)
}

/// A principal with a bearer token: roles, extensions, tenant, each separated by spaces.
fn bearer(roles: &str, extensions: &str, tenant: &str) -> Principal {
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let extensions = words(extensions);
    let extensions = extensions
        .iter()
        .map(|text| Extension::read(text, None).unwrap());
    principal(
        Credential::Bearer,
        Attributes::new(words(roles), extensions.collect(), words(tenant).pop()),
    )
}

fn link(pbx: &str, recording: &str) -> Principal {
    let scope = LinkScope::new(name(recording), pbx.to_owned());
    principal(Credential::Link(scope), Attributes::default())
}

/// `allow` or `deny` with the deciding policies, or the reason in words.
fn describe(decision: &Result<Grant, PolicyError>) -> String {
    match decision {
        Ok(grant) => format!("allow {}", grant.policies().join(" ")),
        Err(PolicyError::Denied { policies, failures }) if failures.is_empty() => {
            format!("deny {}", policies.join(" "))
        }
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(policy: &Policy, who: Principal, pbx: &str, recording: &str, expected: &str) {
    let decision = policy.authorize(
        Counted::unlimited(who.clone()),
        Action::Listen,
        pbx,
        name(recording),
        &context(),
    );
    assert_eq!(describe(&decision).trim_end(), expected, "{recording}");
    if let Ok(grant) = decision {
        assert_eq!(
            (grant.principal(), grant.pbx(), grant.recording().as_str()),
            (&who, pbx, recording)
        );
        assert_eq!(grant.action(), Action::Listen);
    }
    // The list and the request make the same decision.
    match policy.view(Counted::unlimited(who), pbx, &context()) {
        Ok(viewer) => {
            assert_eq!(
                viewer.may_hear(&name(recording)),
                expected.starts_with("allow")
            );
        }
        Err(error) => assert!(matches!(
            error,
            PolicyError::LinkForAnotherRecording | PolicyError::PbxOutOfReach
        )),
    }
}
