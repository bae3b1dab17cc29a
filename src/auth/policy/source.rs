//! Places in a file of policies.
//!
//! Knows where each policy begins and how a byte is told to people. Does not know what a policy says. Pure.
//!
//! Source: the Cedar grammar (docs.cedarpolicy.com, "Grammar"): a policy ends with a semicolon, which stands nowhere else but
//! in strings and comments; comments go from `//` to the end of the line; a backslash escapes in a string.

use std::fmt;

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

/// What is wrong at a byte of a text.
pub(super) fn flaw(text: &str, offset: usize, message: impl fmt::Display) -> Flaw {
    let (line, column) = place(text, offset);
    Flaw {
        line,
        column,
        message: message.to_string(),
    }
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
