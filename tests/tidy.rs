//! The rules of the tree that a program can check.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::path::{Path, PathBuf};

use wavegate::response::problem;

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
    ("reqwest::", &["jwks/fetch.rs", "pbx/transport.rs"]),
    ("jsonwebtoken::", &["auth/"]),
    (
        "tokio_rustls::",
        &["pbx/transport.rs", "pbx/probe.rs", "server", "simulator"],
    ),
    ("x509_parser::", &["pbx/certificate.rs"]),
    ("use cookie::", &["auth/cookies.rs", "gateway/session.rs"]),
    ("csv_core::", &["pbx/dialect/csv.rs"]),
    ("prometheus_client::", &["metrics"]),
    ("governor::", &["rates.rs"]),
    ("cedar_policy::", &["auth/policy/"]),
    ("miette::", &["auth/policy/cedar.rs"]),
    ("md5::", &["pbx/dialect/s_series.rs", "simulator"]),
    (
        "rcgen::",
        &["simulator", "auth/tests", "pbx/certificate.rs"],
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
