//! The cost of a policy decision.
//!
//! `request` measures the decision of one request: build the principal, the context (time and
//! address) and the resource, then decide. `rows` measures the decisions about 5,000 rows of a list
//! with 200 extensions. The principal is built once for the list, and rows that are alike in
//! everything the policies read are decided once. Both run with the starter policies and with 200
//! policies that also read the time, so that no two rows are alike; each decision evaluates all of
//! them, since any may forbid. The baseline is one policy without conditions: the cost of a call to
//! the engine.
//!
//! Does not show: the authentication before it (`--bench auth`), several cores at once, or policies
//! with large sets in them.

#![allow(
    clippy::unwrap_used,
    reason = "a bench that cannot make its keys has nothing to measure"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use wavegate::auth::keys::VerifyingKey;
use wavegate::auth::mint::{self, BearerClaims, SigningKey};
use wavegate::auth::{
    Algorithm, AttributeClaims, Authenticator, Issuer, KeyRing, Principal, RequiredClaims,
};
use wavegate::limits::rate::Counted;
use wavegate::policy::{Action, Context, Groups, Policy};
use wavegate::recording::RecordingName;
use wavegate::secret::Secret;

const ISSUER: &str = "https://sso.example/realms/company";
const STARTERS: &str = include_str!("../config/policy.cedar");
const EVERYONE: &str = "permit(principal, action, resource);";
const NAME: &str = "20260302104512-1772448301.1219-0205550147-6400-Inbound.wav";
const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// An agent with three roles, an extension and a tenant.
fn principal() -> Principal {
    let secret = Secret::new([b's'; 64]);
    let signing_key = SigningKey::secret(None, Algorithm::Hs256, &secret).unwrap();
    let claims = BearerClaims {
        issuer: ISSUER,
        subject: "0194c0de-7d1c-7000-8000-000000000001",
        audience: "wavegate",
    };
    let attributes = json!({
        "roles": ["agent", "quality", "team-b"], "extensions": ["office/1001"], "tenant": "office"
    });
    let (now, life) = (SystemTime::now(), Duration::from_secs(3_600));
    let attributes = attributes.as_object().unwrap();
    let token = mint::bearer_with(&signing_key, &claims, attributes, now, life).unwrap();
    let issuer = Issuer {
        name: ISSUER.into(),
        audiences: vec!["wavegate".into()],
        required: RequiredClaims::default(),
        keys: KeyRing::fixed(vec![
            VerifyingKey::secret(None, Algorithm::Hs256, &secret).unwrap(),
        ]),
        claims: AttributeClaims::default(),
        pbxs: None,
    };
    let authenticator = Authenticator::new(vec![issuer], None, Duration::from_secs(10));
    let mut headers = HeaderMap::new();
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    headers.insert(AUTHORIZATION, field);
    authenticator
        .authenticate(&headers, None, SOURCE, now)
        .unwrap()
        .principal()
        .clone()
}

/// The starter policies, and rules for single people and PBXs up to a total of 200 policies.
fn two_hundred() -> String {
    let mut text = STARTERS.to_owned();
    for number in 3..200 {
        let _ = match number % 2 {
            0 => writeln!(
                text,
                "permit(principal, action, resource) when {{ principal.roles.contains(\"team-{number}\") && \
                 resource.pbx == \"site-{number}\" }};"
            ),
            _ => writeln!(
                text,
                "forbid(principal, action, resource) when {{ principal.subject == \"left-{number}\" && \
                 resource has start && resource.start > datetime(\"2026-01-01\") }};"
            ),
        };
    }
    text
}

fn parse(text: &str) -> Policy {
    let members = (1_001..1_021).map(|number| number.to_string()).collect();
    let groups = Groups::new([("office".to_owned(), vec![("6400".to_owned(), members)])]);
    Policy::parse(text, groups).unwrap()
}

fn decisions(criterion: &mut Criterion) {
    let principal = principal();
    let name: RecordingName = NAME.parse().unwrap();
    let context = Context {
        source: SOURCE,
        now: SystemTime::now(),
    };
    let names: Vec<RecordingName> = (0..5_000)
        .map(|row| {
            let (start, callee) = (1_772_448_301 + row, 1_000 + row % 200);
            let name = format!("20260302104512-{start}.1-0205550147-{callee}-Inbound.wav");
            name.parse().unwrap()
        })
        .collect();
    for (policies, text) in [
        ("one policy", EVERYONE.to_owned()),
        ("starters", STARTERS.to_owned()),
        ("200 policies", two_hundred()),
    ] {
        let policy = parse(&text);
        let mut group = criterion.benchmark_group(policies);
        group.bench_function("request", |bencher| {
            bencher.iter(|| {
                let (principal, name) = (principal.clone(), name.clone());
                let context = black_box(&context);
                policy.authorize(
                    Counted::unlimited(principal),
                    Action::Listen,
                    "office",
                    name,
                    context,
                )
            });
        });
        group.throughput(Throughput::Elements(names.len() as u64));
        group.bench_function("rows", |bencher| {
            bencher.iter(|| {
                let viewer = policy
                    .view(Counted::unlimited(principal.clone()), "office", &context)
                    .unwrap();
                names.iter().filter(|name| viewer.may_hear(name)).count()
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3));
    targets = decisions
}
criterion_main!(benches);
