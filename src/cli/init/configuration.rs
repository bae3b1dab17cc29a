//! The text of a first configuration.
//!
//! Knows the keys that a gateway needs. Does not know how files are written, or where the answers
//! came from.

use url::Url;

use super::Trust;
use super::files::{ADMIN, BEARER, HEAD_KEY, HEAD_PUBLIC_KEY, LINK, PASSWORD, POLICY, SESSION};
use super::place::Names;
use crate::cli::quoted;
use crate::pbx::settings::PbxApi;

/// The answers that the configuration is made of.
pub(super) struct Answers {
    pub(super) name: String,
    pub(super) api: PbxApi,
    pub(super) url: Url,
    pub(super) username: String,
    pub(super) public_url: Url,
    pub(super) listen: String,
    pub(super) trust: Trust,
}

/// The configuration in the Debian package, with a PBX that does not exist. A test makes the file
/// from this very module.
pub(super) const PLACEHOLDER: &str = include_str!("../../../packaging/debian/wavegate.toml");

impl Answers {
    pub(super) fn configuration(&self, names: &Names) -> String {
        let text = |url: &Url| quoted(url.as_str().trim_end_matches('/'));
        let trust = match self.trust {
            Trust::PlainHttp => "plain_http = true\n".to_owned(),
            Trust::System => String::new(),
            Trust::Pinned(pin) => format!(
                "\n# The SHA-256 of its certificate. Before the PBX gets a new certificate, add the SHA-256 of that one.\n[pbx.tls]\npins = [\"{pin}\"]\n"
            ),
        };
        let (state, audit) = match names.state {
            Some(dir) => (
                format!(
                    "# The times of logins, so that restarts do not add up to a lock-out on the PBX.\nstate_dir = \"{dir}\"\n\n"
                ),
                format!("{dir}/audit"),
            ),
            None => (String::new(), "audit".to_owned()),
        };
        let proxy = names.proxy.map_or_else(String::new, |network| {
            format!("# The proxy in front, whose X-Forwarded-For and X-Request-Id are believed.\ntrusted_proxies = [\"{network}\"]\n")
        });
        let secret = |name: &str| format!("{}/{name}", names.secrets);
        format!(
            r#"# Written by `wavegate init`. `wavegate check` finds mistakes; a running gateway reads changes at SIGHUP.
# config/wavegate.toml of the source tree explains every key, with its default.

{state}[server]
# The URL under which callers reach the gateway. A request for another host gets 421.
public_url = {public_url}
listen = [{listen}]
{proxy}
# The token of the admin listener's write calls, such as deleting a recording from the cache.
[admin]
token_file = "{admin}"

# The audit log: who heard which recording. To check that it was not changed:
# wavegate audit verify {audit} --key "$(cat {HEAD_PUBLIC_KEY})"
[audit]
dir = "{audit}"
key_file = "{head_key}"

# The issuer of bearer tokens. `wavegate token` signs with its key, to try the gateway out.
[[auth.issuer]]
name = "https://idp.example.com"
audiences = ["recordings"]
[[auth.issuer.key]]
algorithm = "HS256"
secret_file = "{bearer}"

# The keys that sign links, which open one recording each. With signing_key the gateway makes
# links, too (POST /links).
[links]
audience = "wavegate-links"
signing_key = "links"
[[links.key]]
id = "links"
algorithm = "HS256"
secret_file = "{link}"

# The key that signs the cookies of browsers.
[session]
key_file = "{session}"

# The policies are in a file of their own.
[policy]
file = "{POLICY}"

[[pbx]]
name = {name}
api = {api}
url = {url}
username = {username}
password_file = "{password}"
{trust}"#,
            public_url = text(&self.public_url),
            listen = quoted(&self.listen),
            name = quoted(&self.name),
            api = quoted(self.api.as_str()),
            url = text(&self.url),
            username = quoted(&self.username),
            admin = secret(ADMIN),
            head_key = secret(HEAD_KEY),
            bearer = secret(BEARER),
            link = secret(LINK),
            session = secret(SESSION),
            password = secret(PASSWORD),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::place::Place;

    /// The configuration of a service for a PBX that cannot exist: RFC 6761 reserves `.invalid`.
    fn placeholder() -> String {
        let answers = Answers {
            name: "office".to_owned(),
            api: PbxApi::SSeries200,
            url: "https://pbx.invalid:8088".parse().unwrap(),
            username: "api".to_owned(),
            public_url: Place::Service.default_public_url().parse().unwrap(),
            listen: "127.0.0.1:8080".to_owned(),
            trust: Trust::System,
        };
        let text = answers.configuration(&Place::Service.names(&answers.public_url));
        let (head, rest) = text.split_once("\n\n").unwrap();
        let (rest, pbx) = rest.split_once("[[pbx]]\n").unwrap();
        let head = head.replacen(
            "Written by `wavegate init`.",
            "The configuration of the gateway.",
            1,
        );
        let head = head.replace(
            "config/wavegate.toml of the source tree explains",
            "/usr/share/doc/wavegate/config/wavegate.toml explains",
        );
        format!(
            "{head}\n\n{rest}# A PBX that does not exist. `wavegate init --systemd` asks for yours, and writes this file anew.\n\
             # Or change these lines, and put the password into secrets/pbx-password.\n[[pbx]]\n{pbx}"
        )
    }

    /// `WAVEGATE_WRITE_REFERENCE=1 cargo test --lib placeholder` writes the file anew.
    #[test]
    fn the_package_has_the_placeholder_of_a_service() {
        let expected = placeholder();
        if std::env::var_os("WAVEGATE_WRITE_REFERENCE").is_some() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/packaging/debian/wavegate.toml"
            );
            std::fs::write(path, &expected).unwrap();
            return;
        }
        assert_eq!(PLACEHOLDER, expected);
    }
}
