//! The policy and keys in force, in a form that can be compared later: for the audit log.
//!
//! Knows what belongs to them, and writes them down anew when an issuer has published other keys.
//! Does not know secrets: a public key is named by its thumbprint, a secret only by its id, since
//! guesses could be compared with a hash of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;

use super::GatewayParts;
use crate::audit::{AuditLog, StartRecord};
use crate::auth::keys::VerifyingKey;
use crate::auth::{Issuer, KeyRing};

/// The policy and keys that a configuration puts in force.
pub(super) struct InForce {
    policy: String,
    /// The lines of the keys that links are made with.
    links: Vec<String>,
    issuers: Vec<(String, KeyRing)>,
}

/// The policy and keys in force until this is dropped.
pub(super) struct Current {
    /// Receives the keys of the issuers as long as it exists.
    _told: Arc<Told>,
}

struct Told {
    audit: AuditLog,
    policy: String,
    keys: Mutex<KeyLines>,
}

#[derive(Default)]
struct KeyLines {
    /// The lines of each issuer, and those of links under the empty name.
    lines: BTreeMap<String, Vec<String>>,
    /// The line that was written last.
    written: Option<StartRecord>,
}

impl InForce {
    /// The program, the policy and the keys of a configuration.
    pub(super) fn of(parts: &GatewayParts) -> Self {
        let auth = &parts.auth;
        let links = auth.links.iter().flat_map(|links| links.keys.iter());
        let ring = |issuer: &Issuer| (issuer.name.clone(), issuer.keys.clone());
        Self {
            policy: hash(&parts.policy_text),
            links: links.map(|link| line("", &link.key)).collect(),
            issuers: auth.issuers.iter().map(ring).collect(),
        }
    }

    /// Writes a start line, and another one whenever an issuer has published other keys: before a
    /// token is verified with them.
    pub(super) fn begin(self, audit: &AuditLog) -> Current {
        let told = Arc::new(Told {
            audit: audit.clone(),
            policy: self.policy,
            keys: Mutex::default(),
        });
        for (issuer, ring) in self.issuers {
            let weak = Arc::downgrade(&told);
            ring.set_listener(move |keys| {
                if let Some(told) = weak.upgrade() {
                    let lines = keys.iter().map(|key| line(&issuer, key)).collect();
                    told.note(&issuer, lines);
                }
            });
        }
        told.begin(self.links);
        Current { _told: told }
    }
}

impl Told {
    /// Writes the first line, once all issuers have told their keys.
    fn begin(&self, links: Vec<String>) {
        let mut keys = self.keys();
        keys.lines.insert(String::new(), links);
        self.write(&mut keys);
    }

    /// Notes the keys of an issuer, and writes a line if they have changed.
    fn note(&self, issuer: &str, lines: Vec<String>) {
        let mut keys = self.keys();
        keys.lines.insert(issuer.to_owned(), lines);
        if keys.written.is_some() {
            self.write(&mut keys);
        }
    }

    fn write(&self, keys: &mut KeyLines) {
        let mut lines: Vec<&str> = keys.lines.values().flatten().map(String::as_str).collect();
        lines.sort_unstable();
        let start = StartRecord {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            policy: self.policy.clone(),
            keys: hash(&lines.concat()),
        };
        if keys.written.as_ref() != Some(&start) {
            self.audit.started(start.clone());
            keys.written = Some(start);
        }
    }

    fn keys(&self) -> MutexGuard<'_, KeyLines> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line of one key.
fn line(issuer: &str, key: &VerifyingKey) -> String {
    let (id, thumbprint) = (key.id().unwrap_or_default(), key.thumbprint());
    let thumbprint = thumbprint.unwrap_or_default();
    format!("{issuer:?} {id:?} {:?} {thumbprint}\n", key.algorithm())
}

fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let hexadecimal = |byte: &u8| format!("{byte:02x}");
    digest.as_ref().iter().map(hexadecimal).collect()
}
