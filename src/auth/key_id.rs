//! A key id in a message.
//!
//! Knows how much of it is shown. Does not know keys. The sender of a token chooses its `kid`, so a
//! message shows only its start, in quotes and with escapes.

use std::fmt;

/// The most characters shown: a thumbprint has 43, a UUID 36.
const MAX_CHARS: usize = 64;

/// The start of a key id, or its absence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyId(Option<KeyIdPrefix>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyIdPrefix {
    text: String,
    is_cut: bool,
}

impl KeyId {
    /// Keeps the part of an id that is shown.
    #[must_use]
    pub fn of(id: Option<&str>) -> Self {
        Self(id.map(|id| {
            let text: String = id.chars().take(MAX_CHARS).collect();
            let is_cut = text.len() < id.len();
            KeyIdPrefix { text, is_cut }
        }))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => formatter.write_str("no kid"),
            Some(KeyIdPrefix { text, is_cut }) => {
                let more = if *is_cut { "\u{2026}" } else { "" };
                write!(formatter, "kid {text:?}{more}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: Option<&str>, expected: &str) {
        assert_eq!(KeyId::of(id).to_string(), expected);
    }

    #[test]
    fn a_key_id_is_shown_short_and_escaped() {
        check(None, "no kid");
        check(Some("one"), "kid \"one\"");
        check(
            Some("a\"b\n\u{1b}[2J\u{202e}"),
            r#"kid "a\"b\n\u{1b}[2J\u{202e}""#,
        );
        let long = "k".repeat(64);
        check(Some(&long), &format!("kid \"{long}\""));
        check(Some(&"k".repeat(65)), &format!("kid \"{long}\"\u{2026}"));
        check(
            Some(&"\u{e9}".repeat(9_000)),
            &format!("kid \"{}\"\u{2026}", "\u{e9}".repeat(64)),
        );
    }
}
