//! The permitted values of the keys of the cache, of ranges and of the admin listener.

use super::{EXAMPLE, folder, load};
use crate::harness::write_secret;

/// The keys of all problems of the example with these lines replaced.
fn problems(changes: &[(&str, &str)]) -> Vec<String> {
    let mut text = EXAMPLE.to_owned();
    for (line, other) in changes {
        assert!(text.contains(line), "{line}");
        text = text.replacen(line, other, 1);
    }
    let folder = folder();
    let found = load(folder.path(), &text).err().unwrap_or_default();
    found.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn the_old_section_tape_is_refused_with_its_new_name() {
    let text = format!("{EXAMPLE}\n[tape]\nmax_bytes = 0\n");
    let found = load(folder().path(), &text).unwrap_err();
    let told = (
        "tape".to_owned(),
        "renamed; write [cache] with the same keys".to_owned(),
    );
    assert_eq!(found, [told]);
}

#[test]
fn values_out_of_range_are_all_named() {
    let below = [
        ("#max_bytes = 268435456", "max_bytes = 1048575"),
        (
            "#max_recording_bytes = 67108864",
            "max_recording_bytes = 65535",
        ),
        ("#max_age_s = 3600", "max_age_s = 0"),
        (
            "#upstream_ranges = \"never\"",
            "upstream_ranges = \"always\"",
        ),
    ];
    let named = [
        "cache.max_bytes",
        "cache.max_recording_bytes",
        "cache.max_age_s",
        "pbx[0].upstream_ranges",
    ];
    assert_eq!(problems(&below), named);
    let above = [
        ("#max_bytes = 268435456", "max_bytes = 1099511627777"),
        (
            "#max_recording_bytes = 67108864",
            "max_recording_bytes = 1099511627777",
        ),
        ("#linger_ms = 10000", "linger_ms = 600001"),
        ("#keep_s = 600", "keep_s = 86401"),
        ("#max_age_s = 3600", "max_age_s = 86401"),
        ("#remember_s = 14400", "remember_s = 604801"),
        ("#remember_missing_ms = 3000", "remember_missing_ms = 10001"),
        ("#wait_ms = 2000", "wait_ms = 60001"),
    ];
    let named = [
        "cache.max_bytes",
        "cache.max_recording_bytes",
        "cache.linger_ms",
        "cache.keep_s",
        "cache.max_age_s",
        "cache.remember_s",
        "cache.remember_missing_ms",
        "range.wait_ms",
    ];
    assert_eq!(problems(&above), named);
}

#[test]
fn values_at_the_ends_of_their_ranges_are_taken() {
    let least = [
        ("#max_bytes = 268435456", "max_bytes = 1048576"),
        (
            "#max_recording_bytes = 67108864",
            "max_recording_bytes = 65536",
        ),
        ("#linger_ms = 10000", "linger_ms = 0"),
        ("#keep_s = 600", "keep_s = 0"),
        ("#max_age_s = 3600", "max_age_s = 1"),
        ("#remember_s = 14400", "remember_s = 0"),
        ("#remember_missing_ms = 3000", "remember_missing_ms = 0"),
        ("#wait_ms = 2000", "wait_ms = 0"),
        (
            "#upstream_ranges = \"never\"",
            "upstream_ranges = \"trust\"",
        ),
    ];
    assert_eq!(problems(&least), [""; 0]);
    let most = [
        ("#max_bytes = 268435456", "max_bytes = 1099511627776"),
        (
            "#max_recording_bytes = 67108864",
            "max_recording_bytes = 1099511627776",
        ),
        ("#linger_ms = 10000", "linger_ms = 600000"),
        ("#keep_s = 600", "keep_s = 86400"),
        ("#max_age_s = 3600", "max_age_s = 86400"),
        ("#remember_s = 14400", "remember_s = 604800"),
        ("#remember_missing_ms = 3000", "remember_missing_ms = 10000"),
        ("#wait_ms = 2000", "wait_ms = 60000"),
    ];
    assert_eq!(problems(&most), [""; 0]);
}

#[test]
fn max_recording_bytes_may_not_exceed_max_bytes() {
    let all = "#max_bytes = 268435456";
    let one = "#max_recording_bytes = 67108864";
    let larger = [
        (all, "max_bytes = 1048576"),
        (one, "max_recording_bytes = 1048577"),
    ];
    assert_eq!(problems(&larger), ["cache.max_recording_bytes"]);
    // By default it is the largest value that all other limits leave.
    let folder = folder();
    let small = EXAMPLE.replace(all, "max_bytes = 1048576");
    let config = load(folder.path(), &small).unwrap();
    assert!(config.contains("max_recording_bytes: 1048576,"), "{config}");
    let off = [
        (all, "max_bytes = 0"),
        (one, "max_recording_bytes = 1048577"),
    ];
    assert_eq!(problems(&off), [""; 0]);
}

#[test]
fn a_token_of_the_admin_listener_is_long_and_fits_into_a_header() {
    use std::os::unix::fs::PermissionsExt;

    let folder = folder();
    let file = folder.path().join("secrets/admin-token");
    let text = EXAMPLE.replace("#token_file", "token_file");
    let check = |expected: Option<&str>| match (load(folder.path(), &text), expected) {
        (Ok(config), None) => assert!(!config.contains("xxxx"), "{config}"),
        (Err(problems), Some(words)) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(problems[0].0, "admin.token_file");
            assert!(problems[0].1.contains(words), "{problems:?}");
            assert!(!problems[0].1.contains("xxxx"), "{problems:?}");
        }
        (other, _) => panic!("{other:?}"),
    };
    check(Some("admin-token: "));
    write_secret(&file, &"x".repeat(31));
    check(Some("32 bytes"));
    write_secret(&file, &format!("{}\n", "x".repeat(32)));
    check(None);
    write_secret(&file, &format!("{} x", "x".repeat(32)));
    check(Some("bearer token"));
    write_secret(&file, &"x".repeat(32));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
    check(Some("chmod 600"));
}
