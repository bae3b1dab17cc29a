//! The types of keys: numbers, words, texts, paths, lists, each with its range and default.
//!
//! Knows how a type is read and how it is shown. Does not know any key.

mod number;

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

use super::rows::{DefaultedKind, SettingKind};
use super::section::Section;
use crate::secret::Secret;
pub(super) use number::*;

/// `true` or `false`.
pub(super) struct Flag(bool);

pub(super) const fn flag(default: bool) -> Flag {
    Flag(default)
}

impl SettingKind for Flag {
    type Value = bool;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<bool> {
        section.boolean(key)
    }

    fn example(&self) -> String {
        self.0.to_string()
    }
}

impl DefaultedKind for Flag {
    fn default(&self) -> bool {
        self.0
    }
}

/// One of a few words.
pub(super) struct OneOf<T: 'static> {
    words: &'static [(&'static str, T)],
    default: T,
}

pub(super) const fn one_of<T: Copy>(words: &'static [(&'static str, T)], default: T) -> OneOf<T> {
    OneOf { words, default }
}

impl<T: Copy + PartialEq> SettingKind for OneOf<T> {
    type Value = T;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<T> {
        section.choice(key, self.words)
    }

    fn limits(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|(word, _)| *word).collect();
        format!("One of: {}.", words.join(", "))
    }

    fn example(&self) -> String {
        let mut words = self.words.iter();
        let word = words.find(|(_, value)| *value == self.default);
        format!("{:?}", word.map_or("", |(word, _)| word))
    }
}

impl<T: Copy + PartialEq> DefaultedKind for OneOf<T> {
    fn default(&self) -> T {
        self.default
    }
}

/// A text with a default.
pub(super) struct Word(&'static str);

pub(super) const fn word(default: &'static str) -> Word {
    Word(default)
}

impl SettingKind for Word {
    type Value = String;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<String> {
        section.text(key)
    }

    fn example(&self) -> String {
        format!("{:?}", self.0)
    }
}

impl DefaultedKind for Word {
    fn default(&self) -> String {
        self.0.to_owned()
    }
}

/// A list of texts with a default, each of which parses as `T`.
pub(super) struct ListOf<T> {
    default: &'static [&'static str],
    parse: fn(&str) -> Option<T>,
}

pub(super) const fn list_of<T: FromStr>(default: &'static [&'static str]) -> ListOf<T> {
    ListOf {
        default,
        parse: |text| text.parse().ok(),
    }
}

impl<T: FromStr<Err: Display>> SettingKind for ListOf<T> {
    type Value = Vec<T>;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<Vec<T>> {
        section.list(key)
    }

    fn example(&self) -> String {
        format!("{:?}", self.default)
    }
}

impl<T: FromStr<Err: Display>> DefaultedKind for ListOf<T> {
    fn default(&self) -> Vec<T> {
        let texts = self.default.iter();
        texts.filter_map(|text| (self.parse)(text)).collect()
    }
}

/// An address with a default.
pub(super) struct Address(SocketAddr);

/// The default is a port of loopback.
pub(super) const fn address(port: u16) -> Address {
    Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

impl SettingKind for Address {
    type Value = SocketAddr;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<SocketAddr> {
        section.parsed(key)
    }

    fn example(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl DefaultedKind for Address {
    fn default(&self) -> SocketAddr {
        self.0
    }
}

/// A value without a default.
pub(super) struct Free<T> {
    read: fn(&mut Section<'_>, &str) -> Option<T>,
    example: Example,
    /// The default in words.
    absent: &'static str,
    is_shown: bool,
}

enum Example {
    Text(&'static str),
    List(&'static [&'static str]),
    /// As it stands in the file.
    Toml(&'static str),
}

pub(super) const fn text(example: &'static str) -> Free<String> {
    free(|section, key| section.text(key), Example::Text(example))
}

pub(super) const fn path(example: &'static str) -> Free<PathBuf> {
    free(|section, key| section.path(key), Example::Text(example))
}

pub(super) const fn web_address(example: &'static str) -> Free<Url> {
    free(|section, key| section.url(key), Example::Text(example))
}

/// A text that parses as `T`.
pub(super) const fn parsed<T: FromStr<Err: Display>>(example: &'static str) -> Free<T> {
    free(|section, key| section.parsed(key), Example::Text(example))
}

/// A file with a key, which may be any bytes.
pub(super) const fn secret(example: &'static str) -> Free<Secret> {
    free(
        |section, key| section.secret_file(key),
        Example::Text(example),
    )
}

/// A file with a password, which is text that somebody typed.
pub(super) const fn password(example: &'static str) -> Free<Secret> {
    free(
        |section, key| section.password_file(key),
        Example::Text(example),
    )
}

/// A list of texts that each parse as `T`.
pub(super) const fn list<T: FromStr<Err: Display>>(
    example: &'static [&'static str],
) -> Free<Vec<T>> {
    free(|section, key| section.list(key), Example::List(example))
}

/// A value that is read in a way of its own; the example is TOML.
pub(super) const fn read_by<T>(
    read: fn(&mut Section<'_>, &str) -> Option<T>,
    example: &'static str,
) -> Free<T> {
    free(read, Example::Toml(example))
}

const fn free<T>(read: fn(&mut Section<'_>, &str) -> Option<T>, example: Example) -> Free<T> {
    Free {
        read,
        example,
        absent: "",
        is_shown: false,
    }
}

impl<T> Free<T> {
    /// Says the default in words.
    pub(super) const fn absent(mut self, words: &'static str) -> Self {
        self.absent = words;
        self
    }

    /// Shows the example in force.
    pub(super) const fn shown(mut self) -> Self {
        self.is_shown = true;
        self
    }
}

impl<T> SettingKind for Free<T> {
    type Value = T;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<T> {
        (self.read)(section, key)
    }

    fn limits(&self) -> String {
        default_in_words(self.absent)
    }

    fn example(&self) -> String {
        match self.example {
            Example::Text(text) => format!("{text:?}"),
            Example::List(texts) => format!("{texts:?}"),
            Example::Toml(text) => text.to_owned(),
        }
    }

    fn is_shown(&self) -> bool {
        self.is_shown
    }
}

fn default_in_words(words: &str) -> String {
    match words {
        "" => String::new(),
        words => format!("Default: {words}."),
    }
}

/// A type whose default is not used: the key may be absent.
pub(super) struct Optional<K> {
    kind: K,
    absent: &'static str,
}

/// `absent` is the default in words.
pub(super) const fn optional<K>(kind: K, absent: &'static str) -> Optional<K> {
    Optional { kind, absent }
}

impl<K: SettingKind> SettingKind for Optional<K> {
    type Value = K::Value;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<K::Value> {
        self.kind.read(section, key)
    }

    fn limits(&self) -> String {
        let limits = [self.kind.limits(), default_in_words(self.absent)];
        limits.join(" ").trim().to_owned()
    }

    fn example(&self) -> String {
        self.kind.example()
    }
}

/// A type whose default is not used: the key must be there.
pub(super) struct Required<K>(K);

pub(super) const fn required<K>(kind: K) -> Required<K> {
    Required(kind)
}

impl<K: SettingKind> SettingKind for Required<K> {
    type Value = K::Value;

    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<K::Value> {
        section.require(key).then(|| self.0.read(section, key))?
    }

    fn limits(&self) -> String {
        format!("{}\nRequired.", self.0.limits()).trim().to_owned()
    }

    fn example(&self) -> String {
        self.0.example()
    }

    fn is_shown(&self) -> bool {
        true
    }
}
