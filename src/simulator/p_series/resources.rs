//! The addresses of files that `recording/download` issued.
//!
//! Knows the recording and lifetime of each address, and the ways in which an address may be
//! written. Does not know the lifetime of tokens, or files.
//!
//! Source: Yeastar, "P-Series Developer Guide", "Download a Recording File": the address is a path
//! outside the API and good for 30 minutes; the sample is
//! `/api/download/Recording-X.7.0.6-1-download-20220412175901-M8zB66xYUNTNMr2D.wav`. Published
//! clients have seen the other prefix. It is not documented whether an address is good once only,
//! and for its own token only.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::simulator::pbx::PbxState;
use crate::simulator::request::ParsedRequest;
use crate::simulator::switch::Switch;
use crate::simulator::tickets::TicketRefusal;

/// The two ways in which the path of a file begins.
pub(super) const PREFIXES: [&str; 2] = ["/api/download/", "/api/downloadattachment/"];

/// The number of addresses at which stale ones are dropped.
const MAX_REMEMBERED_ADDRESSES: usize = 100_000;
/// Prefixes that a lenient reader of URLs takes for another host.
const HIDDEN_HOSTS: [&str; 6] = [
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\\/evil.example",
    "https:\\\\evil.example",
];

/// The recording and conditions of one address.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) recording: String,
    /// If set, only this token may use the address.
    pub(super) token: Option<String>,
    pub(super) issued: Instant,
}

/// The result of using an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResourceUse {
    /// True if the address had been used before.
    pub(super) again: bool,
    /// The name of the recording and the age of the address, or the reason why it opens nothing.
    pub(super) opened: Result<(String, Duration), TicketRefusal>,
}

/// All addresses by their path, each with a flag that is true once it was used.
pub(in crate::simulator) struct Resources {
    life: Duration,
    known: HashMap<String, (Resource, bool)>,
    given: usize,
}

impl Resources {
    pub(super) fn new(life: Duration) -> Self {
        Self {
            life,
            known: HashMap::new(),
            given: 0,
        }
    }

    /// Adds an address. Returns the number of addresses issued before it.
    pub(super) fn add(&mut self, path: &str, resource: Resource) -> usize {
        if self.known.len() >= MAX_REMEMBERED_ADDRESSES {
            let (life, now) = (self.life, resource.issued);
            self.known.retain(|_, (old, _)| old.age(now) < life);
        }
        self.known.insert(path.to_owned(), (resource, false));
        self.given += 1;
        self.given - 1
    }

    /// Returns the recording of an address. Does not count as a use of the address.
    pub(in crate::simulator) fn recording(&self, path: &str) -> Option<&str> {
        let (resource, _) = self.known.get(path)?;
        Some(&resource.recording)
    }

    /// Uses an address. If `once` is true, only the first use opens the recording.
    pub(super) fn use_address(
        &mut self,
        path: &str,
        token: &str,
        once: bool,
        now: Instant,
    ) -> ResourceUse {
        let Some((resource, spent)) = self.known.get_mut(path) else {
            let opened = Err(TicketRefusal::Unknown);
            return ResourceUse {
                again: false,
                opened,
            };
        };
        let again = std::mem::replace(spent, true);
        let age = resource.age(now);
        let other_token = resource.token.as_ref().is_some_and(|own| own != token);
        let opened = if again && once {
            Err(TicketRefusal::Spent)
        } else if age >= self.life {
            Err(TicketRefusal::Stale)
        } else if other_token {
            Err(TicketRefusal::OtherToken)
        } else {
            Ok((resource.recording.clone(), age))
        };
        ResourceUse { again, opened }
    }

    /// Makes an address unused again, until its lifetime ends.
    pub(in crate::simulator) fn restore(&mut self, path: &str) {
        if let Some((_, spent)) = self.known.get_mut(path) {
            *spent = false;
        }
    }

    /// Forgets every address, so that none of them opens anything.
    pub(in crate::simulator) fn expire_all(&mut self) {
        self.known.clear();
    }
}

impl Resource {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.issued)
    }
}

/// Makes up the path of a file: `stamp` is the local time, `tail` is random.
pub(super) fn path(pbx: &PbxState, recording: &str, stamp: &str, tail: &str) -> String {
    let [usual, attachment] = PREFIXES;
    let prefix = if pbx.has(Switch::DownloadAttachmentPrefix) {
        attachment
    } else {
        usual
    };
    let suffix = match recording.rsplit_once('.') {
        _ if pbx.has(Switch::Mp3ResourceSuffix) => "mp3",
        Some((_, "mp3")) => "mp3",
        _ => "wav",
    };
    format!("{prefix}Recording-X.7.0.6-1-download-{stamp}-{tail}.{suffix}")
}

/// The media type that follows from the suffix of a path.
pub(super) fn media_type(path: &str) -> &'static str {
    if path.ends_with(".mp3") {
        "audio/mpeg"
    } else {
        "audio/x-wav"
    }
}

/// Writes the address of a path as the box does, or in a form that a client must refuse or accept.
/// `number` is the number of addresses issued before. Returns `None` if the answer has no address.
pub(super) fn spelled(
    pbx: &PbxState,
    request: &ParsedRequest,
    path: &str,
    number: usize,
) -> Option<String> {
    if pbx.has(Switch::ResourceUrlMissing) {
        return None;
    }
    Some(if pbx.has(Switch::ResourceUrlBlank) {
        String::new()
    } else if pbx.has(Switch::ResourceUrlAbsolute) {
        let scheme = if pbx.switches.is_plain_http() {
            "http"
        } else {
            "https"
        };
        let host = request.field("host").unwrap_or_default();
        format!("{scheme}://{host}{path}")
    } else if pbx.has(Switch::ResourceUrlElsewhere) {
        format!("https://evil.example{path}")
    } else if pbx.has(Switch::ResourceUrlProtocolRelative) {
        format!("//evil.example{path}")
    } else if pbx.has(Switch::ResourceUrlBackslash) {
        let host = HIDDEN_HOSTS.get(number % HIDDEN_HOSTS.len());
        format!("{}{path}", host.copied().unwrap_or_default())
    } else if pbx.has(Switch::ResourceUrlLineBreak) {
        format!("{path} HTTP/1.1\r\nX-Injected: yes\r\n\r\n")
    } else if pbx.has(Switch::ResourceUrlWithQuery) {
        format!("{path}?attname=recording.wav")
    } else {
        path.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: &str, seconds: u64, once: bool, expected: [Result<(), TicketRefusal>; 2]) {
        let issued = Instant::now();
        let mut resources = Resources::new(Duration::from_secs(30));
        let resource = Resource {
            recording: "a.wav".into(),
            token: Some("t".into()),
            issued,
        };
        assert_eq!(resources.add("/a", resource), 0);
        let now = issued + Duration::from_secs(seconds);
        for (again, expected) in [false, true].into_iter().zip(expected) {
            let address_use = resources.use_address("/a", token, once, now);
            assert_eq!(
                (address_use.again, address_use.opened.map(drop)),
                (again, expected)
            );
        }
        resources.restore("/a");
        assert!(!resources.use_address("/a", token, once, now).again);
        let unknown = resources.use_address("/b", token, once, now).opened;
        assert_eq!(unknown, Err(TicketRefusal::Unknown));
    }

    #[test]
    fn an_address_works_until_its_lifetime_ends() {
        check("t", 29, false, [Ok(()), Ok(())]);
        check("t", 0, true, [Ok(()), Err(TicketRefusal::Spent)]);
        check("t", 30, false, [Err(TicketRefusal::Stale); 2]);
        check("u", 0, false, [Err(TicketRefusal::OtherToken); 2]);
    }
}
