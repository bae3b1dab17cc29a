//! Checks between sections: names, audiences and addresses that must differ, and names that must
//! exist. `app` makes the keys, and checks that they differ.

use std::collections::BTreeSet;

use crate::config::section::Section;
use crate::config::{Config, IssuerSection, PbxSection};

pub(super) fn check_apart(root: &mut Section<'_>, config: &Config) {
    check_issuers(root, &config.auth.issuers);
    check_pbxs(root, &config.pbxs);
    check_links(root, config);
    check_reach(root, config);
    if config.auth.login_url.is_some() && config.server.public_url.is_none() {
        root.problem(
            "auth.login_url",
            "needs server.public_url, the address that people come back to",
        );
    }
}

/// Refuses two issuers of one name. Two issuers may share a key: while an issuer changes its name,
/// it is there twice.
fn check_issuers(root: &mut Section<'_>, issuers: &[IssuerSection]) {
    let mut names = BTreeSet::new();
    for name in issuers.iter().filter_map(|issuer| issuer.name.as_ref()) {
        if !names.insert(name) {
            root.problem("auth.issuer", format!("{name:?} stands there twice"));
        }
    }
}

/// Refuses two PBXs of one name, or of one address.
fn check_pbxs(root: &mut Section<'_>, pbxs: &[PbxSection]) {
    let mut names = BTreeSet::new();
    for name in pbxs.iter().filter_map(|pbx| pbx.name.as_ref()) {
        if !names.insert(name) {
            root.problem("pbx", format!("name: {name:?} stands there twice"));
        }
    }
    let address = |pbx: &PbxSection| {
        let url = pbx.url.as_ref()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()))
    };
    for (index, pbx) in pbxs.iter().enumerate() {
        let Some(own) = address(pbx) else { continue };
        let mut earlier = pbxs.iter().take(index);
        if let Some(other) = earlier.find(|earlier| address(earlier).as_ref() == Some(&own)) {
            let name = |pbx: &PbxSection| pbx.name.clone().unwrap_or_default();
            root.problem(
                "pbx",
                format!(
                    "url: {:?} and {:?} are one PBX; it would count the logins of both against our one address",
                    name(other),
                    name(pbx)
                ),
            );
        }
    }
}

/// Refuses one audience for links and bearer tokens, and a link key for a PBX that does not exist.
fn check_links(root: &mut Section<'_>, config: &Config) {
    let Some(links) = &config.links else { return };
    let mut issuers = config.auth.issuers.iter();
    if issuers.any(|issuer| issuer.audiences.contains(&links.audience)) {
        root.problem(
            "links.audience",
            "also an audience of an issuer; links need one of their own",
        );
    }
    let pbxs = links.keys.iter().filter_map(|link| link.pbxs.as_ref());
    for name in pbxs.flatten() {
        if !config.has_pbx(name) {
            root.problem("links.key", format!("pbxs: there is no PBX named {name:?}"));
        }
    }
}

/// Refuses an issuer for a PBX that does not exist.
fn check_reach(root: &mut Section<'_>, config: &Config) {
    for (index, issuer) in config.auth.issuers.iter().enumerate() {
        for name in issuer.pbxs.iter().flat_map(|names| names.iter()) {
            if !config.has_pbx(name) {
                root.problem(
                    &format!("auth.issuer[{index}].pbxs"),
                    format!("there is no PBX named {name:?}"),
                );
            }
        }
    }
}
