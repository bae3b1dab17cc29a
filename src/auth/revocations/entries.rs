//! Entries of the revocation list: tokens and subjects that are refused although their tokens have
//! not expired.
//!
//! Knows the form of an entry, and which principals it covers. Does not know where entries are
//! stored.
//!
//! One JSON object per line. `{"jti": "…"}` is one token; with `issuer`, the token of that issuer
//! only. `{"issuer": "…", "subject": "…"}` is every token of that subject. With `"issued_before":
//! "2026-11-20T12:00:00Z"`, only tokens issued before that time count; alone it covers every
//! principal, with an issuer every one of that issuer. The issuer of a link is the id of its key.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::auth::principal::Principal;

/// The most entries of a list: far more than are ever revoked at once.
const MAX_ENTRIES: usize = 100_000;
/// The longest line, in bytes.
const MAX_LINE_BYTES: usize = 2_048;
/// The longest name in an entry, in bytes. No token has a longer one.
const MAX_NAME_BYTES: usize = 2_000;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issued_before: Option<Timestamp>,
}

/// The reason why a text is not a list of revocations.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RevocationError {
    /// The line is not an entry. The text says where.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// The mistake.
        why: String,
    },
    /// The list has too many entries.
    #[error("more than 100000 entries; take out those whose tokens have expired")]
    TooMany,
}

/// All entries, in the form in which they are looked up.
#[derive(Clone, Debug, Default)]
pub struct RevocationList {
    tokens: HashSet<String>,
    tokens_of: HashSet<(String, String)>,
    /// The time before which a subject's tokens are revoked; `None` for all of them.
    people: HashMap<(String, String), Option<SystemTime>>,
    issuers: HashMap<String, SystemTime>,
    everybody: Option<SystemTime>,
    entries: usize,
}

impl Revocation {
    /// Reads one entry.
    ///
    /// # Errors
    /// The mistake, as a sentence for the operator.
    pub fn parse(json: &str) -> Result<Self, String> {
        if json.len() > MAX_LINE_BYTES {
            return Err("longer than 2048 bytes".to_owned());
        }
        let entry: Self = serde_json::from_str(json).map_err(|error| without_values(&error))?;
        entry.check()?;
        Ok(entry)
    }

    fn check(&self) -> Result<(), &'static str> {
        let names = [&self.jti, &self.issuer, &self.subject];
        let fits = |name: &&Option<String>| {
            name.as_ref()
                .is_none_or(|name| (1..=MAX_NAME_BYTES).contains(&name.len()))
        };
        if !names.iter().all(fits) {
            return Err("a name is empty or too long");
        }
        match (&self.jti, &self.issuer, &self.subject, &self.issued_before) {
            (Some(_), _, None, None) | (None, Some(_), Some(_), _) | (None, _, None, Some(_)) => {
                Ok(())
            }
            (Some(_), ..) => Err("jti can be combined with issuer only"),
            (None, None, Some(_), _) => Err("subject needs issuer: a subject is unique within one"),
            (None, _, None, None) => {
                Err("the entry is empty: give jti, issuer and subject, or issued_before")
            }
        }
    }

    /// The entry as a line of a list, without the line feed.
    #[must_use]
    pub fn line(&self) -> String {
        // A structure of texts is always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The mistake in an entry, without the values in it: a token pasted there by mistake must not get
/// into the log.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let known = [
        "unknown field",
        "duplicate field",
        "invalid type",
        "invalid value",
    ];
    let kind = known.into_iter().find(|kind| text.starts_with(kind));
    let members = "members are jti, issuer and subject, which are texts, and issued_before, a time such as 2026-11-20T12:00:00Z";
    match (error.classify(), kind) {
        (serde_json::error::Category::Data, Some(kind)) => {
            format!("{kind} in column {}; {members}", error.column())
        }
        (serde_json::error::Category::Data, None) => {
            format!("a wrong value in column {}; {members}", error.column())
        }
        _ => format!("not JSON: {text} in column {}", error.column()),
    }
}

impl RevocationList {
    /// Reads a list. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// The first wrong line. The whole list is refused then, since half a list would admit revoked
    /// tokens.
    pub fn parse(text: &str) -> Result<Self, RevocationError> {
        let mut revoked = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry = Revocation::parse(line).map_err(|why| RevocationError::Line {
                line: number + 1,
                why,
            })?;
            revoked.add(&entry)?;
        }
        Ok(revoked)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When the list is full.
    pub fn add(&mut self, entry: &Revocation) -> Result<(), RevocationError> {
        if self.entries == MAX_ENTRIES {
            return Err(RevocationError::TooMany);
        }
        self.entries += 1;
        let Revocation {
            jti,
            issuer,
            subject,
            issued_before,
        } = entry.clone();
        let before = issued_before.map(SystemTime::from);
        match (jti, issuer, subject, before) {
            (Some(jti), Some(issuer), ..) => {
                self.tokens_of.insert((issuer, jti));
            }
            (Some(jti), None, ..) => {
                self.tokens.insert(jti);
            }
            (None, Some(issuer), Some(subject), before) => {
                let known = self.people.entry((issuer, subject)).or_insert(before);
                // An entry without a time covers more than any entry with one.
                *known = known.zip(before).map(|(known, before)| known.max(before));
            }
            (None, Some(issuer), None, Some(before)) => {
                let known = self.issuers.entry(issuer).or_insert(before);
                *known = before.max(*known);
            }
            (None, None, _, before) => self.everybody = self.everybody.max(before),
            (None, Some(_), None, None) => {}
        }
        Ok(())
    }

    /// The number of entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Returns true if the principal's credential is revoked. A credential without an issue time
    /// counts as issued before every time.
    #[must_use]
    pub fn revokes(&self, principal: &Principal) -> bool {
        if self.entries == 0 {
            return false;
        }
        let issuer = principal.issuer().to_owned();
        let token = principal.token_id().is_some_and(|jti| {
            self.tokens.contains(jti) || self.tokens_of.contains(&(issuer.clone(), jti.to_owned()))
        });
        let issued = principal.issued_at();
        let early = |before: &SystemTime| issued.is_none_or(|issued| issued < *before);
        let of_all = self.everybody.as_ref().is_some_and(early);
        let of_issuer = self.issuers.get(&issuer).is_some_and(early);
        let person = (issuer, principal.subject().to_owned());
        let of_person = self.people.get(&person);
        token
            || of_all
            || of_issuer
            || of_person.is_some_and(|until| until.as_ref().is_none_or(early))
    }
}

#[cfg(test)]
mod tests;
