//! Mistakes in the tables of the PBXs, alone and in combination.

use super::{EXAMPLE, folder, load};

/// The example with this API and these lines for its PBX, and a second PBX after it.
fn with(api: &str, lines: &str, second: &str) -> String {
    let first = EXAMPLE.replace(
        "api = \"s-series-2.0.0\"",
        &format!("api = \"{api}\"\n{lines}"),
    );
    format!("{first}\n{second}")
}

const SECOND: &str = "[[pbx]]\nname = \"branch\"\napi = \"p-series\"\nurl = \"https://192.168.6.150:8088\"\n\
                      username = \"id\"\npassword_file = \"secrets/pbx-password\"\n";

#[track_caller]
fn check(text: &str, expected: Option<(&str, &str)>) {
    let folder = folder();
    let problems = load(folder.path(), text).err().unwrap_or_default();
    let Some((key, words)) = expected else {
        assert_eq!(problems, []);
        return;
    };
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].0, key, "{problems:?}");
    assert!(problems[0].1.contains(words), "{problems:?}");
}

#[test]
fn every_api_has_its_own_keys() {
    for api in [
        "s-series-1.0.1",
        "s-series-1.1.0",
        "cloud-1.1.0",
        "cloud-2.0.0",
        "p-series",
    ] {
        check(&with(api, "", ""), None);
    }
    let wrong = |api, lines, key: &str, words| {
        let key = format!("pbx[0].{key}");
        check(&with(api, lines, ""), Some((&key, words)));
    };
    wrong(
        "p-series",
        "allowed_ip = \"auto\"",
        "allowed_ip",
        "P-Series",
    );
    wrong("p-series", "report_port = 8260", "report_port", "P-Series");
    wrong("p-series", "prolong = \"query\"", "prolong", "exchanged");
    wrong(
        "cloud-1.1.0",
        "prolong = \"heartbeat\"",
        "prolong",
        "exchanged",
    );
    wrong(
        "s-series-1.0.1",
        "allowed_ip = \"auto\"",
        "allowed_ip",
        "1.0.1",
    );
    wrong("s-series-2.0.0", "mp3 = true", "mp3", "P-Series");
    wrong(
        "p-series",
        "mp3 = true\nmax_downloads = 2",
        "max_downloads",
        "one download",
    );
    wrong("p-series-1.0", "", "api", "p-series");
}

#[test]
fn times_zones_and_rates_must_make_sense() {
    let wrong = |lines, key: &str, words| {
        let key = format!("pbx[0].{key}");
        check(&with("p-series", lines, ""), Some((&key, words)));
    };
    wrong("time_zone = \"Berlin\"", "time_zone", "Europe/Berlin");
    wrong("names_from = \"March\"", "names_from", "2024-03-01");
    let backwards = "names_from = \"2024-03-01\"\nnames_until = \"2024-03-01\"";
    wrong(backwards, "names_until", "not later");
    wrong(
        "max_bytes_per_second = 1024",
        "max_bytes_per_second",
        "stand still",
    );
    wrong(
        "min_bytes_per_second = 1048577",
        "min_bytes_per_second",
        "1048576",
    );
    check(&with("p-series", "min_bytes_per_second = 0", ""), None);
    check(&with("p-series", "time_zone = \"Europe/Berlin\"", ""), None);
}

#[test]
fn several_pbxs_must_be_several() {
    check(&with("s-series-2.0.0", "", SECOND), None);
    let same_name = SECOND.replace("branch", "office");
    check(
        &with("s-series-2.0.0", "", &same_name),
        Some(("pbx", "twice")),
    );
    let same_box = SECOND.replace("192.168.6.150", "192.168.5.150");
    check(
        &with("s-series-2.0.0", "", &same_box),
        Some(("pbx", "one PBX")),
    );
    let other_port = same_box.replace("8088", "443");
    check(&with("s-series-2.0.0", "", &other_port), None);
    let greedy = with("s-series-2.0.0", "max_waiting = 900", SECOND);
    check(&greedy, Some(("pbx", "relay.max_streams")));
    // With one PBX no other PBX can run short.
    check(&with("s-series-2.0.0", "max_waiting = 5000", ""), None);
}
