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
/// The page with the table of problems.
const ANSWERS: &str = include_str!("../docs/answers.md");

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
        for (path, text) in sources(folder) {
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

/// The room of `file` inside `folder`: the file or the folder directly in it that the file belongs
/// to.
fn room_in<'f>(folder: &str, file: &'f str) -> Option<&'f str> {
    let inside = file.strip_prefix(folder)?.strip_prefix('/')?;
    inside.split(['/', '.']).next()
}

/// A room, and the rooms that it reaches by imports; the room itself is included only by a circle.
fn reached(from: &str, imports: &BTreeMap<&str, BTreeSet<&str>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next = vec![from];
    while let Some(room) = next.pop() {
        for other in imports.get(room).into_iter().flatten() {
            if found.insert((*other).to_owned()) {
                next.push(other);
            }
        }
    }
    found
}

#[test]
fn folders_beside_each_other_import_in_no_circle() {
    let imported = imported_files(without_tests);
    // The simulator is one program: its generations share one state, which has a part for each of
    // them.
    let is_outside = |file: &str| {
        let mut parts = file.split(['/', '.']);
        parts.any(|part| part == "tests" || part == "simulator")
    };
    let has_files = |room: &str| {
        imported
            .keys()
            .any(|file| file.starts_with(&format!("{room}/")))
    };
    let folders: BTreeSet<&str> = imported
        .keys()
        .filter_map(|file| Some(file.rsplit_once('/')?.0))
        .collect();
    let mut circles = BTreeSet::new();
    for folder in folders {
        let mut between: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (file, others) in imported.iter().filter(|(file, _)| !is_outside(file)) {
            let Some(room) = room_in(folder, file) else {
                continue;
            };
            let others = others.iter().filter_map(|other| room_in(folder, other));
            let others = others.filter(|other| *other != room);
            between.entry(room).or_default().extend(others);
        }
        for room in between
            .keys()
            .filter(|room| has_files(&format!("{folder}/{room}")))
        {
            let circle: BTreeSet<String> = reached(room, &between)
                .into_iter()
                .filter(|other| reached(other, &between).contains(*room))
                .collect();
            if !circle.is_empty() {
                circles.insert((folder, circle));
            }
        }
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

/// A library, and the only modules of `src` that may name it.
const KEPT_IN: [(&str, &[&str]); 13] = [
    (
        "reqwest::",
        &["auth/key_sets/fetch.rs", "pbx/wire/transport.rs"],
    ),
    ("jsonwebtoken::", &["auth/"]),
    (
        "tokio_rustls::",
        &[
            "tls/server.rs",
            "fleet/connect.rs",
            "pbx/wire/transport.rs",
            "pbx/wire/probe.rs",
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
    ("redis::", &["fleet"]),
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

/// The ladder: the modules at the top of `src`, ground first. A module imports only from those
/// before it in this list.
const LAYERS: [&str; 25] = [
    // Vocabulary.
    "secret",
    "recording",
    "principal",
    // Mechanisms.
    "secret_files",
    "file_version",
    "http",
    "tls",
    "metrics",
    "log",
    "fleet",
    "limits",
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

/// The paths from a file of `src` to other modules of the crate, as written after `crate::`,
/// `super::` and `self::`, and resolved.
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

/// The code of a file without its unit tests: without each item that is built for tests alone, and
/// without all that stands behind an inline module of tests.
fn without_tests(text: &str) -> String {
    let mut code = String::new();
    for (index, part) in text.split("#[cfg(test)]\n").enumerate() {
        let item = part.split_inclusive('\n').next().unwrap_or_default();
        match index {
            0 => code.push_str(part),
            _ if item.trim_end().ends_with('{') && item.contains("mod ") => break,
            _ => code.push_str(&part[item.len()..]),
        }
    }
    code
}

/// The files of `src`, each with the files that the `code` in it imports from.
fn imported_files(code: fn(&str) -> String) -> BTreeMap<String, BTreeSet<String>> {
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
            let others = imports(name, &code(text));
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

/// `cargo test --test tidy imports -- --nocapture` prints the imports between the modules at the
/// top.
#[test]
fn imports_go_down_the_ladder() {
    let mut between: BTreeMap<usize, BTreeMap<usize, usize>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (file, others) in imported_files(str::to_owned) {
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

/// Tests and benches make some proofs without the stage that stands for them, and the gateway never
/// does.
#[test]
fn the_gateway_makes_no_proof_without_its_stage() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, text) in sources("src") {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        if name.split(['/', '.']).any(|part| part == "tests") {
            continue;
        }
        let code: String = without_tests(&text).split_whitespace().collect();
        for shortcut in ["Counted::unlimited(", ".principal().clone()", ".admit(|_|"] {
            assert!(!code.contains(shortcut), "{name} has {shortcut}");
        }
    }
}

/// A documented answer that nobody reads proves nothing.
#[test]
fn every_fixture_is_read_by_a_dialect_and_by_the_simulator() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text_of = |folder: &str, part: &str| -> String {
        let files = sources(folder).into_iter();
        let files = files.filter(|(path, _)| path.to_str().unwrap().contains(part));
        files.map(|(_, text)| text).collect()
    };
    let dialects = text_of("src", "dialect/fixtures");
    let simulator = text_of("tests", "gateway/fixtures");
    let mut fixtures = 0;
    for folder in std::fs::read_dir(root.join("tests/fixtures")).unwrap() {
        let folder = folder.unwrap().path();
        let files = folder.is_dir().then(|| std::fs::read_dir(&folder).unwrap());
        for file in files.into_iter().flatten() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if name == "SOURCES.md" {
                continue;
            }
            let path = format!("{}/{name}", folder.file_name().unwrap().to_str().unwrap());
            assert!(dialects.contains(&path), "no dialect reads {path}");
            assert!(simulator.contains(&name), "{path} is not compared");
            fixtures += 1;
        }
    }
    assert!(fixtures > 0);
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
fn the_page_of_answers_lists_every_problem_as_it_is() {
    let rows: Vec<&str> = ANSWERS
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
    let table = ANSWERS
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

/// The pages that people read.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = docs();
    pages.extend(
        [
            "README.md",
            "ARCHITECTURE.md",
            "CHANGELOG.md",
            "certs/README.md",
        ]
        .map(|page| root.join(page)),
    );
    pages
}

/// The pages of `docs/`.
fn docs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let entries = std::fs::read_dir(folder).unwrap();
    let pages = entries.map(|entry| entry.unwrap().path());
    pages
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// The lines of a page outside its fenced blocks.
fn prose(page: &Path) -> String {
    let text = std::fs::read_to_string(page).unwrap();
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of the links of a page.
fn links(page: &Path) -> Vec<String> {
    let prose = prose(page);
    let targets = prose.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split(')').next())
        .map(str::to_owned)
        .collect()
}

/// The anchors of a page's headings, as GitHub makes them: lower case, blanks as hyphens, no other
/// punctuation.
fn anchors(page: &Path) -> Vec<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept =
                |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
            heading
                .chars()
                .filter(kept)
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_of_a_page_leads_to_a_file_and_a_heading() {
    let mut followed = 0;
    for page in pages() {
        for link in links(&page) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let shown = page.display();
            assert!(target.exists(), "{shown} links to {link}: no such file");
            let known = anchor.is_empty() || anchors(&target).iter().any(|own| own == anchor);
            assert!(known, "{shown} links to {link}: no such heading");
            followed += 1;
        }
    }
    assert!(followed > 0);
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let lines = README.lines().count();
    assert!(lines <= 260, "README.md has {lines} lines");
    let links = links(&Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    for page in docs() {
        let page = format!("docs/{}", page.file_name().unwrap().to_str().unwrap());
        assert!(links.contains(&page), "README.md has no link to {page}");
    }
}

#[test]
fn every_page_opens_with_its_title_and_the_questions_it_answers() {
    for page in docs() {
        let text = std::fs::read_to_string(&page).unwrap();
        let mut parts = text.split("\n\n");
        let title = parts.next().unwrap();
        let questions = parts.next().unwrap_or_default();
        let shown = page.display();
        assert!(
            title.starts_with("# ") && !title.contains('\n'),
            "{shown}: {title}"
        );
        assert!(questions.ends_with('?'), "{shown}: {questions}");
    }
}

/// The words of a text that are names of metrics; a histogram's without the suffix of its samples.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
    let names = words.filter(|word| word.starts_with("wavegate_") || word.starts_with("process_"));
    let of_family = |name: &'_ str| -> usize {
        let suffixes = ["_bucket", "_count", "_sum"];
        let suffix = suffixes.iter().find(|suffix| name.ends_with(*suffix));
        name.len() - suffix.map_or(0, |suffix| suffix.len())
    };
    names.map(|name| &name[..of_family(name)]).collect()
}

#[test]
fn dashboard_and_alerts_are_about_metrics_that_exist() {
    let page = include_str!("../docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let explained: BTreeSet<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    for (file, text) in [
        ("grafana.json", include_str!("../config/grafana.json")),
        ("alerts.yaml", include_str!("../config/alerts.yaml")),
    ] {
        let named = metrics_in(text);
        assert!(named.len() > 10, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&explained).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
}

#[test]
fn each_alert_has_its_line_that_says_what_to_do() {
    let rules = include_str!("../config/alerts.yaml");
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: BTreeSet<&str> = alerts.collect();
    let page = include_str!("../docs/alerts.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let lines: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row[0].split('`').nth(1))
        .collect();
    assert_eq!(alerts, lines);
    assert!(
        alerts.len() > 10 && rows.iter().all(|row| row.len() == 3),
        "{rows:#?}"
    );
}
