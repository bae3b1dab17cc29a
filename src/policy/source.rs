//! Places in a file of policies.
//!
//! Knows where each policy starts, and how a byte becomes a line and a column. Does not know the
//! meaning of a policy. Pure.
//!
//! Source: the Cedar grammar (docs.cedarpolicy.com, "Grammar"): a policy ends with a semicolon,
//! which appears nowhere else except in strings and comments; comments go from `//` to the end of
//! the line; a backslash escapes in a string.

use std::fmt;

/// The longest word of a file that a message repeats, in bytes. Keys and the parts of a token are
/// longer.
const MAX_WORD_BYTES: usize = 31;

/// A mistake in a file of policies, and its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaw {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The mistake.
    pub message: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            message,
        } = self;
        write!(formatter, "line {line}, column {column}: {message}")
    }
}

/// A mistake at a byte of a text. Messages quote the text, which may be a secret pasted by mistake
/// or a file named by mistake, so long words are left out.
pub(super) fn flaw(text: &str, offset: usize, message: impl fmt::Display) -> Flaw {
    let (line, column) = place(text, offset);
    Flaw {
        line,
        column,
        message: without_long_words(&message.to_string()),
    }
}

fn without_long_words(message: &str) -> String {
    let of_secret =
        |character: char| character.is_ascii_alphanumeric() || "+/=_-".contains(character);
    let mut text = String::new();
    for piece in message.split_inclusive(|character| !of_secret(character)) {
        let word = piece.trim_end_matches(|character| !of_secret(character));
        if word.len() <= MAX_WORD_BYTES {
            text.push_str(piece);
            continue;
        }
        text.push('\u{2026}');
        text.push_str(piece.get(word.len()..).unwrap_or_default());
    }
    text
}

/// The line and column of a byte. For a byte within a character, those of the character.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.char_indices().take_while(|(at, _)| *at < offset);
    before.fold((1, 1), |(line, column), (_, character)| match character {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    })
}

enum ScanState {
    /// Outside any policy.
    Outside,
    Policy,
    Text,
    /// After a backslash.
    Escape,
    /// In a comment; true if the comment is within a policy.
    Comment(bool),
}

/// The bytes at which the policies of a text start, in order. The text must be valid Cedar.
pub(super) fn policies(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut state = ScanState::Outside;
    for (at, character) in text.char_indices() {
        let is_comment = || text.get(at..).is_some_and(|rest| rest.starts_with("//"));
        state = match (state, character) {
            (ScanState::Comment(within), '\n') if within => ScanState::Policy,
            (ScanState::Comment(_), '\n') => ScanState::Outside,
            (ScanState::Comment(within), _) => ScanState::Comment(within),
            (ScanState::Escape, _) => ScanState::Text,
            (ScanState::Text, '\\') => ScanState::Escape,
            (ScanState::Text, '"') => ScanState::Policy,
            (ScanState::Text, _) => ScanState::Text,
            (ScanState::Policy, '"') => ScanState::Text,
            (ScanState::Policy, ';') => ScanState::Outside,
            (ScanState::Policy, '/') if is_comment() => ScanState::Comment(true),
            (ScanState::Policy, _) => ScanState::Policy,
            (ScanState::Outside, '/') if is_comment() => ScanState::Comment(false),
            (ScanState::Outside, character) if character.is_whitespace() => ScanState::Outside,
            (ScanState::Outside, _) => {
                starts.push(at);
                ScanState::Policy
            }
        };
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_leaves_out_words_as_long_as_a_secret() {
        let name = "n".repeat(MAX_WORD_BYTES);
        for (message, expected) in [
            ("did you mean `roles`?", "did you mean `roles`?"),
            (&*format!("no `{name}`"), &*format!("no `{name}`")),
            (
                &format!("no `{name}x`, \u{fc}ber"),
                "no `\u{2026}`, \u{fc}ber",
            ),
            (
                &format!("{name}-{name}.{name}"),
                &format!("\u{2026}.{name}"),
            ),
            ("", ""),
        ] {
            assert_eq!(without_long_words(message), expected);
        }
    }
}
