//! One row for each key of the configuration file: its name, type, range, unit, default and
//! documentation.
//!
//! Knows how a row is read, and how it stands in `config/wavegate.toml`, which
//! [`reference()`](super::reference()) makes out of the rows. The rows stand in `file/`, each above
//! the code that reads it. Does not know what a value is for.

use std::fmt::{self, Write};

use super::section::{Section, Tombstones};

/// One key of the file.
pub(super) struct Setting<K> {
    /// The name, with the unit last.
    pub(super) name: &'static str,
    /// The documentation, line by line.
    pub(super) doc: &'static [&'static str],
    /// The type, with range and default.
    pub(super) kind: K,
}

/// The type of a key.
pub(super) trait SettingKind {
    /// The value that parts of the program get.
    type Value;

    /// Reads the key of a section; `None` where it is absent or has a mistake, which is noted.
    fn read(&self, section: &mut Section<'_>, key: &str) -> Option<Self::Value>;

    /// Range and unit in words, and the default where no value shows it.
    fn limits(&self) -> String {
        String::new()
    }

    /// A value as TOML: the default where there is one.
    fn example(&self) -> String;

    /// Whether the key stands in the file as it is, not commented out.
    fn is_shown(&self) -> bool {
        false
    }
}

/// A type with a default.
pub(super) trait DefaultedKind: SettingKind {
    /// The value of a key that is absent.
    fn default(&self) -> Self::Value;
}

/// The rows of a section, in the order of the file.
pub(super) struct SectionRows {
    /// The header as in the file, such as `[cache]`; empty for the keys above all sections. A `#`
    /// in front of it comments the whole section out.
    pub(super) header: &'static str,
    /// The text above the header, line by line.
    pub(super) about: &'static [&'static str],
    /// The keys.
    pub(super) rows: &'static [&'static dyn SettingRow],
    /// Names of an earlier version, each with a message that tells the new name.
    pub(super) gone: Tombstones,
    /// Lines at the end, for a section whose keys are the operator's own.
    pub(super) example: &'static str,
}

/// A row whose type does not matter.
pub(super) trait SettingRow {
    /// Writes the row into the file; commented out where the section is, or where the key is not
    /// shown.
    fn write(&self, text: &mut String, is_commented: bool) -> fmt::Result;

    /// The name of the key.
    fn name(&self) -> &'static str;
}

impl SectionRows {
    /// The last word of the header.
    pub(super) fn name(&self) -> &'static str {
        let path = self.path();
        path.rsplit_once('.').map_or(path, |(_, name)| name)
    }

    /// The words of the header.
    pub(super) fn path(&self) -> &'static str {
        self.header.trim_matches(['#', '[', ']'])
    }

    /// Reads the section; an absent one reads as empty.
    pub(super) fn read<T>(
        &self,
        parent: &mut Section<'_>,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        parent.section(self.name(), self.gone, read)
    }

    /// Reads every section of this name, for a header such as `[[pbx]]`.
    pub(super) fn read_all<T>(
        &self,
        parent: &mut Section<'_>,
        read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        parent.sections(self.name(), self.gone, read)
    }

    /// Writes the section into the file.
    pub(super) fn write(&self, text: &mut String) -> fmt::Result {
        for line in self.about {
            writeln!(text, "#{line}")?;
        }
        match self.header {
            "" => writeln!(text)?,
            header => writeln!(text, "{header}")?,
        }
        let is_commented = self.header.starts_with('#');
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                writeln!(text)?;
            }
            row.write(text, is_commented)?;
        }
        writeln!(text, "{}", self.example)
    }
}

impl<K: SettingKind> Setting<K> {
    /// The value in a section; `None` where it is absent or has a mistake.
    pub(super) fn given(&self, section: &mut Section<'_>) -> Option<K::Value> {
        self.kind.read(section, self.name)
    }
}

impl<K: DefaultedKind> Setting<K> {
    /// The value in a section, or the default.
    pub(super) fn get(&self, section: &mut Section<'_>) -> K::Value {
        self.given(section).unwrap_or_else(|| self.kind.default())
    }
}

impl<K: SettingKind> SettingRow for Setting<K> {
    fn write(&self, text: &mut String, is_commented: bool) -> fmt::Result {
        for line in self.doc {
            writeln!(text, "#{line}")?;
        }
        for line in self.kind.limits().lines() {
            writeln!(text, "# {line}")?;
        }
        let is_commented = is_commented || !self.kind.is_shown();
        let mark = if is_commented { "#" } else { "" };
        writeln!(text, "{mark}{} = {}", self.name, self.kind.example())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// The rows of one section, as a module: a constant for each key, and `SECTION` with all of them.
/// The types of the rows come from the module around it.
///
/// ```text
/// rows! {
///     /// The text above the header.
///     mod keys = "[cache]";
///
///     /// The documentation of a key.
///     keep_s: Number<Duration> = seconds(0..=86_400, 600);
/// }
/// ```
macro_rules! rows {
    (
        $(#[doc = $about:literal])*
        mod $module:ident = $header:literal
        $(, gone: [$($gone:expr),*])?
        $(, example: $example:literal)?;
        $($(#[doc = $doc:literal])* $key:ident: $kind:ty = $value:expr;)*
    ) => {
        pub(in crate::config) mod $module {
            #[allow(unused_imports, reason = "a section may have no rows")]
            use super::*;
            use crate::config::rows::SectionRows;
            #[allow(unused_imports, reason = "a section may have no rows")]
            use crate::config::rows::Setting;

            $(
                #[expect(non_upper_case_globals, reason = "a row is called as its key in the file")]
                pub(in crate::config) const $key: Setting<$kind> = Setting {
                    name: stringify!($key),
                    doc: &[$($doc),*],
                    kind: $value,
                };
            )*

            pub(in crate::config) const SECTION: SectionRows = SectionRows {
                header: $header,
                about: &[$($about),*],
                rows: &[$(&$key),*],
                gone: &[$($($gone),*)?],
                example: concat!("" $(, $example)?),
            };
        }
    };
}
pub(super) use rows;
