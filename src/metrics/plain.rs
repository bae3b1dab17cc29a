//! The metrics in the older text format, for programs that do not read OpenMetrics.
//!
//! Knows the difference between the two formats. Does not know any metric.
//!
//! Sources: Prometheus, "Exposition formats", "Text-based format"; OpenMetrics 1.0, "Text format". In
//! the older format the name of a family is that of its samples, there is no type `info`, no unit
//! and no end mark.

use std::fmt::Write;

/// Rewrites a text in OpenMetrics.
pub(super) fn of(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // The help of a family waits for its type, which tells the name.
    let mut help = "";
    for line in text.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            let _ = writeln!(plain, "{line}");
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(_), Some(sentence)) => help = sentence,
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                let _ = writeln!(plain, "# HELP {name}{suffix} {help}");
                let _ = writeln!(plain, "# TYPE {name}{suffix} {kind}");
            }
            // A unit, or the end.
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_has_the_name_of_its_samples() {
        let text = "# HELP a_seconds A thing.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                    a_seconds_total{b=\"# HELP c d\"} 1\n# HELP e Another.\n# TYPE e info\ne_info{v=\"1\"} 1\n\
                    # HELP g A third.\n# TYPE g histogram\ng_bucket{le=\"+Inf\"} 2\n# EOF\n";
        let expected = "# HELP a_seconds_total A thing.\n# TYPE a_seconds_total counter\n\
                        a_seconds_total{b=\"# HELP c d\"} 1\n# HELP e_info Another.\n# TYPE e_info gauge\n\
                        e_info{v=\"1\"} 1\n# HELP g A third.\n# TYPE g histogram\ng_bucket{le=\"+Inf\"} 2\n";
        assert_eq!(of(text), expected);
    }
}
