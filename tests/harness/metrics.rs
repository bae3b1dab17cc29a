//! The metrics of a gateway, read as a monitor reads them, with a check of their form.

use std::collections::BTreeMap;

use http::Method;

use super::Gateway;
use super::admin::ask;

/// The numbers, each by its name and labels.
pub(crate) struct Numbers {
    pub(crate) text: String,
    pub(crate) samples: BTreeMap<String, f64>,
}

impl Numbers {
    pub(crate) async fn of(gateway: &Gateway) -> Self {
        let addr = gateway.app.admin_address();
        let reply = ask(addr, Method::GET, "/metrics", &[]).await.unwrap();
        assert_eq!(reply.status, 200);
        let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(reply.header("content-type"), Some(media_type));
        Self {
            samples: samples(&reply.text),
            text: reply.text,
        }
    }

    /// The whole number under this name, which must be there.
    #[track_caller]
    pub(crate) fn at(&self, sample: &str) -> u64 {
        let number = self.find(sample);
        number.unwrap_or_else(|| panic!("no {sample} in {}", self.text))
    }

    /// The whole number under this name, if it is there.
    #[track_caller]
    pub(crate) fn find(&self, sample: &str) -> Option<u64> {
        let number = self.samples.get(&format!("wavegate_{sample}"))?;
        assert_eq!(number.fract(), 0.0, "{sample}");
        Some(*number as u64)
    }

    /// The number of answers of every kind that have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.sum("wavegate_duration_seconds_count{")
    }

    #[track_caller]
    pub(crate) fn requests(&self, route: &str, status: u16) -> u64 {
        self.at(&format!(
            "requests_total{{route=\"{route}\",status=\"{status}\"}}"
        ))
    }

    #[track_caller]
    pub(crate) fn downloads(&self, pbx: &str, outcome: &str) -> u64 {
        self.at(&format!(
            "pbx_downloads_total{{pbx=\"{pbx}\",outcome=\"{outcome}\"}}"
        ))
    }

    #[track_caller]
    pub(crate) fn waiting(&self, pbx: &str) -> u64 {
        self.at(&format!("pbx_requests_waiting{{pbx=\"{pbx}\"}}"))
    }

    /// Answered requests of every kind.
    pub(crate) fn answered(&self) -> u64 {
        self.sum("wavegate_requests_total{")
    }

    fn sum(&self, start: &str) -> u64 {
        let samples = self.samples.iter();
        let samples = samples.filter(|(sample, _)| sample.starts_with(start));
        samples.map(|(_, number)| *number as u64).sum()
    }
}

/// Reads OpenMetrics text line by line: each family has one help, one type and perhaps a unit, and
/// then its samples, each once; the end is marked.
#[track_caller]
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = Vec::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let [word, name, rest] = *comment.splitn(3, ' ').collect::<Vec<_>>() else {
                panic!("{line}");
            };
            assert!(!rest.is_empty(), "{line}");
            match word {
                "HELP" => {
                    assert!(!families.contains(&name), "{name} stands there twice");
                    families.push(name);
                    name.clone_into(&mut family);
                    assert!(rest.ends_with('.'), "{line}");
                }
                "TYPE" => rest.clone_into(&mut kind),
                "UNIT" => assert!(name.ends_with(rest), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, family, "{line}");
            continue;
        }
        let (sample, number) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match sample.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (sample, ""),
        };
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => panic!("{kind}"),
        };
        let suffix = name.strip_prefix(family.as_str()).unwrap();
        assert!(suffixes.contains(&suffix), "{line}");
        let is_known = ["wavegate_", "process_"]
            .iter()
            .any(|start| name.starts_with(start));
        assert!(is_known, "{line}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap();
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(!value.contains(['"', '\\', '\n']), "{line}");
        }
        let number = number.parse().unwrap();
        assert_eq!(samples.insert(sample.to_owned(), number), None, "{line}");
    }
    samples
}
