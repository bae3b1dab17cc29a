//! What must not be mixed up: names, audiences and keys by which one thing would pass for another.

use crate::auth::link::{LinkKey, Links};
use crate::config::section::Section;
use crate::config::{Admin, Auth};
use crate::pbx::settings::PbxSettings;

pub(super) fn check_apart(
    root: &mut Section<'_>,
    auth: &Auth,
    admin: &Admin,
    pbxs: &[PbxSettings],
) {
    check_issuers(root, auth);
    check_pbxs(root, pbxs);
    if let Some(links) = &auth.links {
        check_links(root, auth, links, pbxs);
    }
    check_session_key(root, auth, admin);
}

/// Two issuers of one name. Of one key they may be: an issuer that gets another name is two for a while.
fn check_issuers(root: &mut Section<'_>, auth: &Auth) {
    for (index, issuer) in auth.issuers.iter().enumerate() {
        if auth
            .issuers
            .iter()
            .take(index)
            .any(|other| other.name == issuer.name)
        {
            root.problem(
                "auth.issuer",
                format!("{:?} stands there twice", issuer.name),
            );
        }
    }
}

/// Two PBXs of one name, or of one address.
fn check_pbxs(root: &mut Section<'_>, pbxs: &[PbxSettings]) {
    for (index, pbx) in pbxs.iter().enumerate() {
        if pbxs.iter().take(index).any(|other| other.name == pbx.name) {
            root.problem("pbx", format!("name: {:?} stands there twice", pbx.name));
        }
        let address = |pbx: &PbxSettings| {
            let host = pbx.url.host_str().map(str::to_owned);
            (host, pbx.url.port_or_known_default())
        };
        if let Some(other) = pbxs
            .iter()
            .take(index)
            .find(|other| address(other) == address(pbx))
        {
            root.problem(
                "pbx",
                format!(
                    "url: {:?} and {:?} are one PBX; it would count the logins of both against our one address",
                    other.name, pbx.name
                ),
            );
        }
    }
}

/// Links and bearer tokens of one audience, one key or one issuer, a link key for a PBX that does not exist.
fn check_links(root: &mut Section<'_>, auth: &Auth, links: &Links, pbxs: &[PbxSettings]) {
    if auth
        .issuers
        .iter()
        .any(|issuer| issuer.audiences.contains(&links.audience))
    {
        root.problem(
            "links.audience",
            "also an audience of an issuer; links need one of their own",
        );
    }
    for issuer in &auth.issuers {
        let name = &issuer.name;
        let also_bearer = |link: &LinkKey| {
            let mut keys = issuer.keys.configured().iter();
            keys.any(|key| key.is_same_as(&link.key))
        };
        if links.keys.iter().any(also_bearer) {
            let message = format!("also a key of issuer {name:?}; links need keys of their own");
            root.problem("links.key", message);
        }
        if links.keys.iter().any(|key| Links::issuer_of(key) == name) {
            let message = format!("id: {name:?} is an issuer; subjects of the two would be one");
            root.problem("links.key", message);
        }
    }
    for name in links
        .keys
        .iter()
        .filter_map(|key| key.pbxs.as_ref())
        .flatten()
    {
        if !pbxs.iter().any(|pbx| pbx.name == *name) {
            root.problem("links.key", format!("pbxs: there is no PBX named {name:?}"));
        }
    }
}

/// Sessions need a key of their own: with another's, its tokens could be made into sessions, or the other way round.
fn check_session_key(root: &mut Section<'_>, auth: &Auth, admin: &Admin) {
    let Some(sessions) = &auth.cookies.sessions else {
        return;
    };
    for issuer in &auth.issuers {
        let mut keys = issuer.keys.configured().iter();
        if keys.any(|key| sessions.uses_key(key)) {
            let name = &issuer.name;
            let message = format!("also a key of issuer {name:?}; sessions need one of their own");
            root.problem("session.key_file", message);
        }
    }
    let mut link_keys = auth.links.iter().flat_map(|links| &links.keys);
    if link_keys.any(|link| sessions.uses_key(&link.key)) {
        let message = "also one of links.key; sessions need one of their own";
        root.problem("session.key_file", message);
    }
    if admin
        .token
        .as_ref()
        .is_some_and(|token| sessions.uses_secret(token))
    {
        let message = "also admin.token_file; sessions need a key of their own";
        root.problem("session.key_file", message);
    }
}
