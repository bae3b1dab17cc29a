//! The commands that come after `wavegate init`, to paste.
//!
//! Knows which commands each place needs. Does not run them.

use std::path::Path;

use super::configuration::Answers;
use super::place::Place;

/// The text that `init` prints at its end.
pub(super) fn next_steps(place: Place, dir: &Path, config: &Path, answers: &Answers) -> String {
    let url = answers.public_url.as_str().trim_end_matches('/');
    let commands = match place {
        Place::Folder => in_a_folder(config, url),
        Place::Service => as_a_service(place, dir, config, url),
        Place::Container => in_containers(dir, url),
    };
    format!(
        "{} is written. The folder secrets/ has the keys for bearer tokens, links and sessions,
the token of the admin listener, and the PBX's password.
Everyone with a token may hear every recording: policy.cedar says so.

What to do next, with the name of a recording from the PBX's call list (CDR):

  name=…
{commands}",
        config.display()
    )
}

fn in_a_folder(config: &Path, url: &str) -> String {
    let config = flag(config);
    format!(
        "  wavegate check {config}
  wavegate doctor {config} --recording \"$name\"
  wavegate serve {config} &
  token=$(wavegate token {config} --subject alice)
{}",
        fetch(url)
    )
}

fn as_a_service(place: Place, dir: &Path, config: &Path, url: &str) -> String {
    let config = flag(config);
    let mut install = String::new();
    for (unit, _) in place.companions(dir) {
        let unit = shell_word(&unit.to_string_lossy());
        install.push_str(&format!(
            "  install -m 755 \"$(command -v wavegate)\" /usr/bin/
  install -m 644 {unit} /etc/systemd/system/
  systemctl daemon-reload
"
        ));
    }
    format!(
        "  runuser -u wavegate -- wavegate doctor {config} --recording \"$name\"
{install}  systemctl enable --now wavegate
  token=$(wavegate token {config} --subject alice)
{}",
        fetch(url)
    )
}

fn in_containers(dir: &Path, url: &str) -> String {
    format!(
        "  cd {}
  # nginx's certificate and key: certs/public.pem and certs/public.key
  docker compose run --rm wavegate-1 doctor --recording \"$name\"
  docker compose up --detach
  token=$(docker compose exec -T wavegate-1 wavegate token --subject alice)
{}",
        shell_word(&dir.to_string_lossy()),
        fetch(url)
    )
}

fn flag(config: &Path) -> String {
    format!("--config {}", shell_word(&config.to_string_lossy()))
}

fn fetch(url: &str) -> String {
    format!(
        "  curl --fail --output recording.wav --header \"Authorization: Bearer $token\" \"{url}/recordings/$name\""
    )
}

/// A word that a shell reads as it stands.
fn shell_word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@:,".contains(&byte);
    match word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_odd_characters_is_one_word() {
        assert_eq!(shell_word("a/b-c.toml"), "a/b-c.toml");
        assert_eq!(shell_word("it's $x"), r"'it'\''s $x'");
    }
}
