//! `[cors]`: the other sites whose pages may use the gateway in the name of whoever looks at them.

use url::Url;

use crate::config::Cors;
use crate::config::section::Section;

pub(super) fn read_cors(section: &mut Section<'_>) -> Cors {
    let listed: Vec<String> = section.list("origins").unwrap_or_default();
    let origins = listed.iter().filter_map(|text| {
        let origin = origin(text).map_err(|why| format!("{text:?}: {why}"));
        section.note("origins", origin)
    });
    Cors {
        origins: origins.collect(),
    }
}

/// An origin in the form in which browsers send it (RFC 6454 §6.2).
fn origin(text: &str) -> Result<String, &'static str> {
    let url: Url = text
        .parse()
        .map_err(|_| "not an origin such as https://crm.example")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("neither http nor https");
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err("only scheme, host and port belong here");
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err("no pattern is known here: list each origin");
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(origin(text).ok().as_deref(), expected, "{text}");
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        check("https://crm.example", Some("https://crm.example"));
        check("HTTPS://CRM.Example:443/", Some("https://crm.example"));
        check("https://crm.example:8443", Some("https://crm.example:8443"));
        check("http://localhost:3000", Some("http://localhost:3000"));
        check(
            "https://b\u{fc}cher.example",
            Some("https://xn--bcher-kva.example"),
        );
        check("http://[::1]:80", Some("http://[::1]"));
        for odd in [
            "",
            "*",
            "null",
            "crm.example",
            "https://*.crm.example",
            "https://crm.example/app",
            "https://crm.example?x",
            "https://a:b@crm.example",
            "file:///etc",
        ] {
            check(odd, None);
        }
    }
}
