//! One row for each key of the configuration file: its name, type, range, unit, default and
//! documentation.
//!
//! Knows how a row is read, and how it stands in `config/wavegate.toml`, which is made out of the
//! rows ([`reference`](reference())). The rows stand in `file/`, each above the code that reads it.
//! Does not know what a value is for.

use std::fmt::{self, Write};

use super::file::SECTIONS;
use super::section::Section;

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
    fn limits(&self) -> String;

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
    /// Names that there were once, each with the words that tell the new one.
    pub(super) gone: &'static [(&'static str, &'static str)],
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

    fn write(&self, text: &mut String) -> fmt::Result {
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
            #[allow(unused_imports, reason = "the rows of a section need some of the types")]
            use super::*;
            #[allow(unused_imports, reason = "the rows of a section need some of the types")]
            use crate::config::kinds::*;
            use crate::config::rows::SectionRows;
            #[allow(unused_imports, reason = "a section may have none")]
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

/// The text of `config/wavegate.toml`.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    for section in SECTIONS {
        // Writing into a text does not fail.
        let _ = section.write(&mut text);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;
    use crate::config::{Problems, read};

    /// Reads a file of this text, in a folder with the secrets that the reference names. The
    /// mistakes come second.
    fn load(text: &str) -> (String, Problems) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("secrets")).unwrap();
        for name in ["bearer", "link", "pbx-password"] {
            let path = folder.path().join("secrets").join(name);
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o600).open(path);
            file.unwrap().write_all(b"a secret").unwrap();
        }
        let path = folder.path().join("wavegate.toml");
        fs::write(&path, text).unwrap();
        let mut problems = Problems::default();
        let config = read(&path, &mut problems).unwrap();
        let shown = format!("{config:#?}");
        let folder = folder.path().display().to_string();
        (shown.replace(&folder, "folder"), problems)
    }

    /// The key of a line that is commented out.
    fn commented_key(line: &str) -> Option<&str> {
        let line = line.strip_prefix('#')?;
        let (key, _) = line.split_once(" = ")?;
        let is_key = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
        key.bytes().all(is_key).then_some(line)
    }

    /// To write the file anew after a row has changed:
    /// `WAVEGATE_WRITE_REFERENCE=1 cargo test --lib the_reference_is_what_the_rows_say`.
    #[test]
    fn the_reference_is_what_the_rows_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/wavegate.toml");
        if std::env::var_os("WAVEGATE_WRITE_REFERENCE").is_some() {
            fs::write(path, reference()).unwrap();
        }
        assert_eq!(fs::read_to_string(path).unwrap(), reference());
    }

    #[test]
    fn no_line_of_the_reference_is_longer_than_100_columns() {
        for line in reference().lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    /// A value that is commented out is the default, unless the line above says another.
    #[test]
    fn the_defaults_spelled_out_change_nothing() {
        let text = reference();
        let (mut spelled_out, mut count) = (String::new(), 0);
        let (mut above, mut is_out) = ("", false);
        for line in text.lines() {
            if line.trim_start_matches('#').starts_with('[') {
                is_out = line.starts_with('#');
            }
            let is_default = !is_out && !above.contains("Default: ");
            // The keys of issuers that publish their keys; the issuer of the reference does not.
            let is_default = is_default && !line.starts_with("#jwks_");
            let key = commented_key(line).filter(|_| is_default);
            count += usize::from(key.is_some());
            let _ = writeln!(spelled_out, "{}", key.unwrap_or(line));
            above = line;
        }
        assert!(count > 50, "{count}");
        let (as_shipped, problems) = load(&text);
        assert!(problems.is_empty(), "{problems}");
        let (spelled_out, problems) = load(&spelled_out);
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(spelled_out, as_shipped);
    }

    #[test]
    fn every_key_of_the_reference_is_read() {
        let text = reference().replace("#[server.tls]", "[server.tls]");
        let lines = text.lines().map(|line| commented_key(line).unwrap_or(line));
        let (_, problems) = load(&lines.collect::<Vec<_>>().join("\n"));
        let unknown = problems
            .iter()
            .filter(|problem| problem.message == "unknown key");
        assert_eq!(
            unknown.collect::<Vec<_>>(),
            Vec::<&crate::config::Problem>::new()
        );
    }
}
