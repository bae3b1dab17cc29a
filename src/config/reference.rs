//! The text of `config/wavegate.toml`, which documents every key: made out of the rows.

use super::file::SECTIONS;

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
    use std::fmt::Write as _;
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;
    use crate::config::{Mistake, Problems, read};

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

    /// A line without its comment mark, if it is a key that is commented out.
    fn uncommented(line: &str) -> Option<&str> {
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
            let key = uncommented(line).filter(|_| is_default);
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
        let text = reference()
            .replace("#[server.tls]", "[server.tls]")
            .replace("#[shared]", "[shared]");
        let lines = text.lines().map(|line| uncommented(line).unwrap_or(line));
        let (_, problems) = load(&lines.collect::<Vec<_>>().join("\n"));
        let unknown = problems
            .iter()
            .filter(|problem| problem.message == "unknown key");
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&Mistake>::new());
    }
}
