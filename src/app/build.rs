//! A gateway out of its configuration, and what it takes over from the one before.
//!
//! Knows which parts are made anew by a reload, and which go on. Does not know when one is built.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::info;

use super::{AuthParts, GatewayParts};
use crate::audit::AuditLog;
use crate::auth::Authenticator;
use crate::auth::key_sets::KeySetRefresher;
use crate::auth::revocations::Revocations;
use crate::auth::revocations::entries::RevocationList;
use crate::cache::Cache;
use crate::fleet::Fleet;
use crate::gateway::active_transfers::{ActiveTransfers, Rules};
use crate::gateway::authentication::Callers;
use crate::gateway::browser::cors::Cors;
use crate::gateway::browser::frames::Frames;
use crate::gateway::browser::sites::Sites;
use crate::gateway::front::Front;
use crate::gateway::limits::RequestRateLimits;
use crate::gateway::pages::Pages;
use crate::gateway::pbxs::PbxDirectory;
use crate::gateway::recording::Recordings;
use crate::gateway::rights::Rights;
use crate::gateway::{Gateway, TrustedProxies};
use crate::limits::principal_rate::PrincipalRate;
use crate::limits::streams::StreamLimit;
use crate::log::NameMask;
use crate::pbx::Pbx;
use crate::relay::Outcome;

/// Builds a gateway. It takes over from an old one: the admitted streams, the counted reads if
/// their limit is the same, the tokens and permits of PBXs, the metrics, and the key of masked
/// names.
pub(super) fn build(
    parts: GatewayParts,
    old: Option<&Gateway>,
    fleet: Option<&Arc<Fleet>>,
) -> Result<Gateway, String> {
    let keepers = keepers(&parts.auth, old)?;
    let (config, auth) = (parts.config, parts.auth);
    // The server's own limit stays as it was at the start.
    let max_header_bytes = old.map_or(config.server.max_header_bytes, |old| {
        old.front.max_header_bytes
    });
    let authenticator = Authenticator::new(auth.issuers, auth.links, config.auth.skew)
        .with_cookies(auth.cookies)
        .with_max_token_bytes(max_header_bytes);
    crate::auth::self_test().map_err(|error| error.to_string())?;
    let recording_names = config.log.recording_names;
    let names = match old.filter(|old| old.front.names.matches(recording_names)) {
        Some(old) => Arc::clone(&old.front.names),
        None => Arc::new(NameMask::new(recording_names)?),
    };
    let metrics = old.map_or_else(Arc::default, |old| Arc::clone(&old.metrics));
    let mut pbxs = Vec::with_capacity(parts.pbxs.len());
    for pbx in &parts.pbxs {
        let known =
            old.and_then(|old| old.pbxs.all().iter().find(|known| known.name() == pbx.name));
        let place = (Some(&*config.state_dir), fleet);
        pbxs.push(Pbx::start(pbx, place, known, &metrics)?);
    }
    let active = match old {
        None => {
            let rules = Rules {
                policy: parts.policy.clone(),
                authenticator: authenticator.clone(),
            };
            ActiveTransfers::start(config.relay.max_stream, rules)
        }
        Some(old) => Arc::clone(&old.rights.active),
    };
    // A list that the instances of a fleet share needs a file in each of them.
    let own_list = || {
        let known = old.and_then(|old| old.callers.revocations.path().map(Path::to_owned));
        // As long as the program runs, state_dir is the one of its start.
        fleet.map(|_| known.unwrap_or_else(|| config.state_dir.join("revocations.jsonl")))
    };
    let revocation_file = config.auth.revocation_file.or_else(own_list);
    let revocations = revocations(revocation_file, old, (&active, fleet))?;
    let max_streams = config.relay.max_streams;
    let max_per_principal = config.relay.max_streams_per_principal;
    let audit = match (old, &parts.audit) {
        (Some(old), _) => old.rights.audit.clone(),
        (None, None) => AuditLog::default(),
        (None, Some(audit)) => AuditLog::start(audit, max_streams, metrics.audit())?,
    };
    // Nothing fails from here on.
    active.configure(config.relay.max_stream);
    audit.resize(max_streams);
    let stream_limit = match old {
        None => StreamLimit::new(max_streams, max_per_principal, fleet.cloned()),
        Some(old) => {
            old.recordings
                .stream_limit
                .resize(max_streams, max_per_principal);
            Arc::clone(&old.recordings.stream_limit)
        }
    };
    let max_reads = config.relay.max_reads_per_minute;
    let read_limit = match old.filter(|old| old.recordings.read_limit.is_per_minute(max_reads)) {
        Some(old) => Arc::clone(&old.recordings.read_limit),
        None => Arc::new(PrincipalRate::per_minute(max_reads, "reads", fleet)),
    };
    let limits = match old.filter(|old| old.front.rates.matches_config(&config.limits)) {
        Some(old) => Arc::clone(&old.front.rates),
        None => Arc::new(RequestRateLimits::new(config.limits, fleet)),
    };
    for pbx in &pbxs {
        pbx.take_over();
    }
    metrics.bound_cache(config.cache.max_bytes);
    let cache = match old {
        None => Cache::start(config.cache, Arc::clone(&metrics)),
        Some(old) => {
            old.recordings.cache.configure(config.cache);
            old.recordings.cache.retain(&pbxs);
            Arc::clone(&old.recordings.cache)
        }
    };
    let frames = Arc::new(Frames::new(&config.cors));
    let public_url = config.server.public_url;
    Ok(Gateway {
        callers: Callers {
            authenticator,
            keepers,
            revocations: Arc::clone(&revocations),
        },
        rights: Rights {
            policy: parts.policy,
            hides_denied: config.policy.forbidden_as_not_found,
            audit,
            revocations,
            active,
        },
        recordings: Recordings {
            stream_limit,
            read_limit,
            cache,
            range_wait: config.range.wait,
            browser_cache: config.relay.browser_cache,
            downstream_idle: config.relay.idle_timeout,
            metrics: Arc::clone(&metrics),
        },
        fleet: fleet.cloned(),
        pbxs: PbxDirectory::new(pbxs),
        metrics,
        minter: auth.minter,
        cors: Cors::new(&config.cors),
        sites: Sites::new(public_url.as_ref(), config.cors, config.session.embed),
        pages: Pages {
            login_url: config.auth.login_url,
            public_url: public_url.clone(),
            frames: Arc::clone(&frames),
        },
        frames,
        front: Front {
            proxies: TrustedProxies::new(config.server.trusted_proxies),
            names,
            rates: limits,
            max_header_bytes,
            public_url,
        },
    })
}

/// The revocation list. A new entry ends the running transfers that it revokes.
fn revocations(
    path: Option<PathBuf>,
    old: Option<&Gateway>,
    (active, fleet): (&Arc<ActiveTransfers>, Option<&Arc<Fleet>>),
) -> Result<Arc<Revocations>, String> {
    if let Some(old) = old.filter(|old| old.callers.revocations.path() == path.as_deref()) {
        return Ok(Arc::clone(&old.callers.revocations));
    }
    let active = Arc::clone(active);
    let listener = move |revoked: &RevocationList| {
        let ended = active.abort(Outcome::Revoked, |grant| revoked.revokes(grant.principal()));
        if ended > 0 {
            info!(ended, "running transfers ended, because they were revoked");
        }
    };
    let started = Revocations::start(path, Box::new(listener));
    let started = started.map_err(|error| format!("auth.revocation_file: {error}"))?;
    if let Some(fleet) = fleet {
        started.share(fleet);
    }
    Ok(started)
}

/// The keepers of the keys that issuers publish. A new keeper takes over the keys that an old one
/// has.
fn keepers(auth: &AuthParts, old: Option<&Gateway>) -> Result<Vec<KeySetRefresher>, String> {
    let of = |name: &str| auth.issuers.iter().find(|issuer| issuer.name == name);
    let mut keepers = Vec::with_capacity(auth.key_sources.len());
    for source in &auth.key_sources {
        if let Some(issuer) = of(&source.issuer) {
            let mut known = old.into_iter().flat_map(|old| &old.callers.keepers);
            let known = known.find(|keeper| keeper.issuer() == source.issuer);
            keepers.push(KeySetRefresher::start(source, &issuer.keys, known)?);
        }
    }
    Ok(keepers)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::audit::{RecordedRead, SystemRead};
    use crate::metrics::Metrics;
    use crate::pbx::PbxError;
    use crate::recording::RecordingName;

    const CONFIG: &str = r#"
        [policy]
        file = "policy.cedar"
        [[auth.issuer]]
        name = "issuer"
        audiences = ["recordings"]
        [[auth.issuer.key]]
        algorithm = "HS256"
        secret_file = "secret"
        [[pbx]]
        name = "office"
        api = "s-series-2.0.0"
        url = "http://127.0.0.1:1"
        plain_http = true
        username = "api"
        password_file = "secret"
    "#;

    async fn read_of(pbx: &str) -> RecordedRead {
        let name: RecordingName = "20260302104512-1.2-1000-1001-Internal.wav".parse().unwrap();
        let read = SystemRead::new("test", pbx, &name);
        let recorded = AuditLog::default().record_system(read).await.unwrap();
        RecordedRead::from(&recorded)
    }

    #[tokio::test]
    async fn a_recorded_read_of_one_pbx_opens_nothing_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            path
        };
        file("policy.cedar", "permit(principal, action, resource);");
        file("secret", "thirty-two-bytes-or-more-of-a-secret");
        let parts = GatewayParts::load(&file("wavegate.toml", CONFIG)).unwrap();
        let pbx = Pbx::start(&parts.pbxs[0], (None, None), None, &Metrics::default()).unwrap();

        let opened = pbx.open(&read_of("branch").await, None).await;
        assert!(matches!(opened, Err(PbxError::OtherPbx)));
        // Its own is tried, and nothing listens there.
        let opened = pbx.open(&read_of("office").await, None).await;
        assert!(matches!(opened, Err(PbxError::Transport { .. })));
    }
}
