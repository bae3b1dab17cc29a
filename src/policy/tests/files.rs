//! Files of policies: the mistakes that are refused, and their places.

use proptest::prelude::*;

use super::*;

/// A file with one mistake: its line, its column, and words of its message.
type Case<'t> = (&'t str, usize, usize, &'t str);

/// Compares all cases before it fails.
#[track_caller]
fn check(cases: &[Case<'_>]) {
    let failure = |(text, line, column, words): &Case<'_>| {
        let flaws = Policy::parse(text, Groups::default())
            .err()
            .unwrap_or_default();
        let found = match flaws.as_slice() {
            [flaw] if (flaw.line, flaw.column) == (*line, *column) => flaw.message.contains(words),
            _ => false,
        };
        (!found).then(|| format!("{text}\n  expected {line}:{column} {words}\n  found {flaws:?}"))
    };
    let failed: Vec<String> = cases.iter().filter_map(failure).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn a_mistake_is_reported_with_its_line_and_column() {
    check(&[
        // Syntax.
        (
            "permit(principal, action, resource)",
            1,
            36,
            "unexpected end of input",
        ),
        ("\n  permit(principal, action);", 2, 27, "`resource`"),
        ("// é\n\nallow(principal, action, resource);", 3, 1, "allow"),
        // An attribute that does not exist, with the most similar one in the message.
        (
            "permit(principal, action, resource)\nwhen { principal.rolls.contains(\"a\") };",
            2,
            8,
            "did you mean `roles`",
        ),
        // A value of another type.
        (
            "permit(principal, action, resource)\nwhen { principal.roles == \"supervisor\" };",
            2,
            8,
            "Set<String>",
        ),
        // An attribute that may be absent.
        (
            "permit(principal, action, resource) when { principal.tenant == \"a\" };",
            1,
            44,
            "`tenant`",
        ),
        // Actions and types that do not exist.
        (
            "permit(principal, action == Wavegate::Action::\"hear\", resource);",
            1,
            29,
            "hear",
        ),
        (
            "permit(principal is User, action, resource);",
            1,
            21,
            "User",
        ),
        // Letters that look like others.
        (
            "permit(principal, action, resource) when { principal.subject == \"\u{430}lice\" };",
            1,
            65,
            "mixed scripts",
        ),
        // A policy that can never apply.
        (
            "@id(\"never\")\nforbid(principal, action, resource) when { false };",
            1,
            1,
            "impossible",
        ),
        // A template.
        (
            "permit(principal == ?principal, action, resource);",
            1,
            1,
            "template",
        ),
    ]);
}

#[test]
fn policy_ids_are_valid_and_unique() {
    let with = |id: &str| format!("\n@id(\"{id}\")\npermit(principal, action, resource);");
    let many = format!("{EVERYONE}\n").repeat(1_001);
    check(&[
        (&with("two words"), 2, 1, "@id"),
        (&with(""), 2, 1, "@id"),
        (&with(&"a".repeat(65)), 2, 1, "@id"),
        (&with("new\\nline"), 2, 1, "@id"),
        (&format!("{}{}", with("a"), with("a")), 4, 1, "repeated"),
        (&format!("{}\n{EVERYONE}", with("line-4")), 4, 1, "repeated"),
        // More policies than allowed, since each decision evaluates all of them.
        (&many, 1, 1, "1000 policies"),
    ]);
    parse(&format!("{EVERYONE}\n").repeat(1_000));
}

const EVERYONE: &str = "permit(principal, action, resource);";

#[test]
fn all_mistakes_are_reported_together() {
    let text = "permit(principal, action, resource) when { principal.rolls == 1 };\n\
                permit(principal, action, resource) when { resource.pbxs == \"a\" };";
    let flaws = Policy::parse(text, Groups::default()).unwrap_err();
    let lines: Vec<usize> = flaws.iter().map(|flaw| flaw.line).collect();
    assert_eq!(lines, [1, 2], "{flaws:?}");
}

#[test]
fn a_policy_begins_where_its_first_word_does() {
    let text = "// permit(principal, action, resource);\n\
                @id(\"a;b // no comment \\\" \")\n  permit(principal, action, resource) // ; \"\n\
                when { 4 > 3 && \"\\\\\" != \"x\" };  /* */ permit";
    assert_eq!(source::policies(text), [40, text.len() - 12]);
    assert_eq!(source::place("a\né\u{1F600}b", 8), (2, 3));
    assert_eq!(source::place("", 7), (1, 1));
}

#[test]
fn the_shipped_policies_have_no_mistakes() {
    parse(STARTERS);
    assert_eq!(parse(&all_starters()).line_of("tenant-of-pbx"), Some(57));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_policy_is_found_wherever_it_stands(
        gaps in proptest::collection::vec("( |\n|//[a-z;\"@]{0,6}\n){0,3}", 1..6),
    ) {
        let mut text = String::new();
        let mut lines = Vec::new();
        for (index, gap) in gaps.iter().enumerate() {
            text.push_str(gap);
            lines.push(1 + text.matches('\n').count());
            text.push_str(&format!("@id(\"p{index}\")\npermit(principal, action, resource); "));
        }
        let policy = parse(&text);
        for (index, line) in lines.iter().enumerate() {
            prop_assert_eq!(policy.line_of(&format!("p{index}")), Some(*line));
        }
    }

    #[test]
    fn no_text_panics(text in "[a-z@(){};/\"\\\\\n .=]{0,60}") {
        let _ = Policy::parse(&text, Groups::default());
        let _ = source::policies(&text);
    }
}
