//! The rules of the tree that a program can check.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wavegate::http::problem;

const README: &str = include_str!("../README.md");

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    assert!(files.len() > 1, "{folder} has {} files", files.len());
    files
}

#[test]
fn every_file_opens_with_what_it_knows() {
    for folder in ["src", "tests", "benches"] {
        for (path, text) in sources(folder)
            .iter()
            .filter(|(path, _)| !path.ends_with("fixtures"))
        {
            assert!(text.starts_with("//! "), "{} has no header", path.display());
        }
    }
}

#[test]
fn no_file_of_the_program_is_longer_than_can_be_read_at_once() {
    for (path, text) in sources("src") {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

/// A library, and the only modules of `src` that may name it.
const KEPT_IN: [(&str, &[&str]); 12] = [
    ("reqwest::", &["auth/key_sets/fetch.rs", "pbx/transport.rs"]),
    ("jsonwebtoken::", &["auth/"]),
    (
        "tokio_rustls::",
        &[
            "tls/server.rs",
            "pbx/transport.rs",
            "pbx/probe.rs",
            "server",
            "simulator",
        ],
    ),
    ("x509_parser::", &["tls/certificate.rs"]),
    (
        "use cookie::",
        &["auth/cookies.rs", "gateway/browser/session.rs"],
    ),
    ("csv_core::", &["pbx/dialect/csv.rs"]),
    ("prometheus_client::", &["metrics"]),
    ("governor::", &["limits/rate.rs"]),
    ("cedar_policy::", &["policy/"]),
    ("miette::", &["policy/cedar.rs"]),
    ("md5::", &["pbx/dialect/s_series.rs", "simulator"]),
    (
        "rcgen::",
        &["simulator", "auth/tests", "tls/certificate.rs"],
    ),
];

#[test]
fn libraries_stay_where_they_belong() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, text) in sources("src") {
        let name = path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        for (library, places) in KEPT_IN {
            let allowed = places.iter().any(|place| name.starts_with(place));
            let line = text
                .lines()
                .find(|line| line.contains(library) && !line.trim_start().starts_with("//"));
            assert!(allowed || line.is_none(), "{name} uses {library} {line:?}");
        }
    }
}

/// The ladder: the modules at the top of `src`, ground first. A module imports from those before it in this list.
const LAYERS: [&str; 23] = [
    // Vocabulary.
    "secret",
    "recording",
    "principal",
    // Mechanisms.
    "secret_files",
    "http",
    "limits",
    "tls",
    "metrics",
    "log",
    // Domains.
    "auth",
    "policy",
    "audit",
    "list",
    "pbx",
    "cache",
    "relay",
    // Requests.
    "gateway",
    // The process.
    "config",
    "server",
    "admin",
    "app",
    // Tools.
    "simulator",
    "cli",
];

/// The paths that a file of `src` takes to other modules of the crate, as written behind `crate::`, `super::` and
/// `self::`, and resolved.
fn imports(name: &str, text: &str) -> BTreeSet<Vec<String>> {
    let module: Vec<String> = name
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = BTreeSet::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|before| before == ':' || before.is_alphanumeric()) {
                continue;
            }
            let base = match root {
                "crate::" => Vec::new(),
                _ => module[..module.len() - 1].to_vec(),
            };
            follow(&base, &code[at + root.len()..], &mut found);
        }
    }
    found
}

/// Follows one path, and each branch of it where it opens a brace.
fn follow(base: &[String], path: &str, found: &mut BTreeSet<Vec<String>>) {
    let mut base = base.to_vec();
    let mut rest = path;
    loop {
        let word: String = rest
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        rest = &rest[word.len()..];
        if word == "super" {
            base.pop();
        } else if !word.is_empty() && word != "self" {
            base.push(word);
        }
        match rest.strip_prefix("::") {
            Some(more) => rest = more,
            None => break,
        }
    }
    let Some(inside) = rest
        .strip_prefix('{')
        .filter(|_| path.contains("::") || path.starts_with('{'))
    else {
        found.insert(base);
        return;
    };
    let mut depth = 0;
    let mut start = 0;
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                follow(&base, inside[start..at].trim(), found);
                return;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                follow(&base, inside[start..at].trim(), found);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The files of `src`, each with the files that it imports from.
fn imported_files() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: BTreeMap<String, String> = sources("src")
        .into_iter()
        .map(|(path, text)| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            (name.to_owned(), text)
        })
        .filter(|(name, _)| name != "lib.rs" && name != "main.rs")
        .collect();
    let file_of = |path: &[String]| {
        (1..=path.len())
            .rev()
            .map(|length| format!("{}.rs", path[..length].join("/")))
            .find(|name| files.contains_key(name))
    };
    files
        .iter()
        .map(|(name, text)| {
            let others = imports(name, text);
            let others = others.iter().filter_map(|path| file_of(path));
            (name.clone(), others.filter(|other| other != name).collect())
        })
        .collect()
}

fn layer_of(file: &str) -> usize {
    let top = file.split(['/', '.']).next().unwrap();
    let place = LAYERS.iter().position(|layer| *layer == top);
    place.unwrap_or_else(|| panic!("{top} is in no layer"))
}

#[test]
fn the_library_lists_its_modules_as_the_ladder_does() {
    let library = include_str!("../src/lib.rs");
    let modules = library.lines().filter_map(|line| {
        let (visibility, name) = line.strip_suffix(';')?.split_once("mod ")?;
        ["", "pub "].contains(&visibility).then_some(name)
    });
    assert_eq!(modules.collect::<Vec<_>>(), LAYERS);
}

/// `cargo test --test tidy imports -- --nocapture` prints the imports between the modules at the top.
#[test]
fn imports_go_down_the_ladder() {
    let mut between: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (file, others) in imported_files() {
        let layer = layer_of(&file);
        for other in others {
            let below = layer_of(&other);
            if below > layer {
                wrong.push(format!("{file} imports from {other}"));
            }
            if below != layer {
                *between.entry(layer).or_default().entry(below).or_default() += 1;
            }
        }
    }
    for (layer, below) in between {
        let below = below
            .iter()
            .map(|(below, count)| format!("{} ({count})", LAYERS[*below]));
        println!(
            "{}: {}",
            LAYERS[layer],
            below.collect::<Vec<_>>().join(", ")
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_simulator_and_the_gateway_share_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, text) in sources("src") {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let forbidden: &[&str] = match name.starts_with("simulator") {
            true => &[
                "crate::pbx",
                "crate::auth",
                "crate::config",
                "crate::gateway",
                "crate::recording",
            ],
            false if name.starts_with("cli/") => &[],
            false => &["crate::simulator"],
        };
        for word in forbidden {
            assert!(!text.contains(word), "{name} uses {word}");
        }
    }
}

#[test]
fn the_readme_lists_every_problem_as_it_is() {
    let rows: Vec<&str> = README
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for problem in problem::ALL {
        let start = format!("| `{}` | {} |", problem.slug, problem.status.as_u16());
        assert!(
            rows.iter().any(|row| row.starts_with(&start)),
            "no row {start}"
        );
    }
    let table = README
        .split("<!-- problems -->")
        .nth(1)
        .expect("the table is marked");
    assert_eq!(
        table.lines().filter(|line| line.starts_with("| `")).count(),
        problem::ALL.len()
    );
}

#[test]
fn problems_are_told_apart_by_slug() {
    for (index, problem) in problem::ALL.iter().enumerate() {
        let harmless = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        assert!(problem.slug.bytes().all(harmless), "{}", problem.slug);
        assert!(
            problem::ALL[..index]
                .iter()
                .all(|other| other.slug != problem.slug)
        );
        assert!(problem.status.is_client_error() || problem.status.is_server_error());
    }
}
