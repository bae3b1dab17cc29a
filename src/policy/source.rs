//! Places in a file of policies.
//!
//! Knows where each policy begins and how a byte is told to people. Does not know what a policy says. Pure.
//!
//! Source: the Cedar grammar (docs.cedarpolicy.com, "Grammar"): a policy ends with a semicolon, which stands nowhere else but
//! in strings and comments; comments go from `//` to the end of the line; a backslash escapes in a string.

use std::fmt;

/// The longest word of a file that is repeated, in bytes: keys have 32 at least, and so do the parts of a token.
const MAX_WORD_BYTES: usize = 31;

/// What is wrong with a file of policies, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flaw {
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What is wrong.
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

/// What is wrong at a byte of a text. Messages quote what they are about, and that may be a secret that somebody pasted, or that
/// stands in a file named by mistake: long words are left out.
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

/// Line and column of a byte; of one that is within a character, those of the character.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.char_indices().take_while(|(at, _)| *at < offset);
    before.fold((1, 1), |(line, column), (_, character)| match character {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    })
}

enum State {
    /// Between two policies.
    Outside,
    Policy,
    Text,
    /// After a backslash.
    Escape,
    /// A comment, and whether it is within a policy.
    Comment(bool),
}

/// The bytes at which the policies of a text begin, in their order. The text must be one that Cedar can read.
pub(super) fn policies(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut state = State::Outside;
    for (at, character) in text.char_indices() {
        let is_comment = || text.get(at..).is_some_and(|rest| rest.starts_with("//"));
        state = match (state, character) {
            (State::Comment(within), '\n') if within => State::Policy,
            (State::Comment(_), '\n') => State::Outside,
            (State::Comment(within), _) => State::Comment(within),
            (State::Escape, _) => State::Text,
            (State::Text, '\\') => State::Escape,
            (State::Text, '"') => State::Policy,
            (State::Text, _) => State::Text,
            (State::Policy, '"') => State::Text,
            (State::Policy, ';') => State::Outside,
            (State::Policy, '/') if is_comment() => State::Comment(true),
            (State::Policy, _) => State::Policy,
            (State::Outside, '/') if is_comment() => State::Comment(false),
            (State::Outside, character) if character.is_whitespace() => State::Outside,
            (State::Outside, _) => {
                starts.push(at);
                State::Policy
            }
        };
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_as_long_as_a_secret_is_not_repeated_and_all_else_is() {
        let name = "n".repeat(MAX_WORD_BYTES);
        for (message, told) in [
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
            assert_eq!(without_long_words(message), told);
        }
    }
}
