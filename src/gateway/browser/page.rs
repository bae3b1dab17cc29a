//! A problem as a page for people: the event, the next step, and the request id of the log.
//!
//! Knows the text and the form: one document, without script, image or anything from another
//! address, in the reader's own light or dark scheme. The texts are in [`mod@words`]; only the
//! reason, the seconds, the request id and the recording vary. All are escaped. Does not know who
//! gets a page. Pure.
//!
//! Sources: HTML standard, §13.1.2.3 (text) and §13.1.2 (attributes in quotes); Content Security
//! Policy level 3, §2.3.1 (hashes).

mod words;

use std::fmt::Write;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;

use crate::gateway::answer::AnswerBody;
use crate::http::problem::Problem;
use words::words;

const STYLE: &str = ":root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d5dae1;--link:#0b57d0}\
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#16191d;--line:#3a414a;--link:#8ab4f8}}\
body{margin:0;background:var(--paper);color:var(--ink);font:1.0625rem/1.6 system-ui,sans-serif}\
main{max-width:36rem;margin:0 auto;padding:12vh 1.25rem 3rem}\
h1{font-size:1.6rem;line-height:1.25;margin:0 0 1rem}\
a{color:var(--link)}a,code{overflow-wrap:anywhere}\
footer{margin-top:2.5rem;padding-top:1rem;border-top:1px solid var(--line);font-size:.875rem}";

/// A page about a problem.
pub(crate) struct ProblemPage<'a> {
    pub(crate) problem: &'static Problem,
    pub(crate) request_id: &'a str,
    /// The detail of the error, if the problem has one.
    pub(crate) reason: Option<&'a str>,
    /// Seconds after which a retry may work.
    pub(crate) retry_after: Option<&'a str>,
    /// The path and the name of the recording, if it can be opened without the invalid link.
    pub(crate) recording: Option<(&'a str, &'a str)>,
}

impl ProblemPage<'_> {
    /// The body of the answer.
    pub(crate) fn body(&self) -> AnswerBody {
        AnswerBody::Document(Full::new(Bytes::from(self.html())))
    }

    fn html(&self) -> String {
        let (title, what, next) = words(self.problem);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n<p>{what}</p>\n",
            title = escaped(title),
            what = escaped(what),
        );
        // Writing into a text does not fail.
        if let Some(reason) = self.reason {
            let _ = writeln!(html, "<p>{}</p>", escaped(reason));
        }
        let _ = writeln!(html, "<p>{}</p>", escaped(next));
        if let Some(seconds) = self.retry_after {
            let _ = writeln!(html, "<p>It may work again in {} s.</p>", escaped(seconds));
        }
        if let Some((path, name)) = self.recording {
            let _ = writeln!(
                html,
                "<p>If you can sign in, open the recording itself:<br><a href=\"{}\">{}</a></p>",
                escaped(path),
                escaped(name)
            );
        }
        let _ = write!(
            html,
            "<footer>Request <code>{}</code>, status {}.</footer>\n</main>\n</body>\n</html>\n",
            escaped(self.request_id),
            self.problem.status.as_u16()
        );
        html
    }
}

/// The content policy of a page: it may load its own style, by its hash, and nothing else.
pub(in crate::gateway) fn content_policy() -> String {
    let hash = digest::digest(&digest::SHA256, STYLE.as_bytes());
    let hash = STANDARD.encode(hash.as_ref());
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

/// Escapes a text, so that it may stand between tags or between quotation marks.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::problem::{self, ALL};

    fn page(problem: &'static Problem) -> ProblemPage<'static> {
        ProblemPage {
            problem,
            request_id: "id-1",
            reason: None,
            retry_after: None,
            recording: None,
        }
    }

    #[test]
    fn every_problem_has_a_page_of_the_same_form() {
        for problem in ALL {
            let html = page(problem).html();
            for part in [
                "<!DOCTYPE html>",
                "<html lang=\"en\">",
                "<main>",
                "id-1",
                "charset=\"utf-8\"",
            ] {
                assert_eq!(html.matches(part).count(), 1, "{part} of {}", problem.slug);
            }
            let (title, what, next) = words(problem);
            assert!(
                !title.is_empty() && !what.is_empty() && next.ends_with('.'),
                "{}",
                problem.slug
            );
            for loaded in ["src=", "url(", "http", "<script", "<link", "<img", "<form"] {
                assert!(!html.contains(loaded), "{loaded} of {}", problem.slug);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_its_place(path in ".*", name in ".*", reason in ".*") {
            let plain = page(&problem::LINK_TOKEN_INVALID);
            let plain = ProblemPage { recording: Some(("", "")), reason: Some(""), ..plain }.html();
            let filled = page(&problem::LINK_TOKEN_INVALID);
            let filled = ProblemPage { recording: Some((&path, &name)), reason: Some(&reason), ..filled }.html();
            for mark in ['<', '>', '"', '\''] {
                prop_assert_eq!(filled.matches(mark).count(), plain.matches(mark).count());
            }
        }
    }
}
