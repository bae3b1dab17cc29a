//! The place where the gateway will run: this folder, a service of systemd, or a container.
//!
//! Knows the folders, modes and owners of each place, and the files that belong to it besides the
//! configuration. Does not know what the configuration says.

use std::path::{Path, PathBuf};

use url::{Host, Url};

/// The user and the group of the service, as the unit names them.
const USER: &str = "wavegate";
const GROUPS: &str = "/etc/group";
const UNIT_NAME: &str = "wavegate.service";
const UNIT: &str = include_str!("../../../config/wavegate.service");
const SERVICE_DIR: &str = "/etc/wavegate";
/// The folders where systemd looks for units (systemd.unit(5), "Unit File Load Path").
const UNIT_DIRS: [&str; 4] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const COMPOSE: &str = include_str!("../../../config/compose.yaml");
const NGINX: &str = include_str!("../../../config/nginx.conf");
/// The state of a service and of a container.
const STATE_DIR: &str = "/var/lib/wavegate";

/// The place where the gateway will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder of whoever runs `init`.
    Folder,
    /// A service of systemd, with a user of its own.
    Service,
    /// The containers of `config/compose.yaml`.
    Container,
}

/// The paths that a configuration names.
pub(super) struct Names {
    /// The folder with the secrets, as seen from the configuration.
    pub(super) secrets: &'static str,
    /// The folder with the state and the audit log, unless they are beside the configuration.
    pub(super) state: Option<&'static str>,
    /// The network of the proxy, if there is one.
    pub(super) proxy: Option<&'static str>,
}

/// The modes of the files, and the group that may read them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    pub(super) folder: u32,
    pub(super) file: u32,
    pub(super) secrets_folder: u32,
    pub(super) secret: u32,
    pub(super) group: Option<u32>,
}

impl Place {
    /// The folder for the files, without `--dir`.
    pub(super) fn default_dir(self) -> PathBuf {
        match self {
            Self::Folder | Self::Container => ".".into(),
            Self::Service => SERVICE_DIR.into(),
        }
    }

    /// The URL of callers, without `--public-url`.
    pub(super) fn default_public_url(self) -> &'static str {
        match self {
            Self::Folder | Self::Service => "http://127.0.0.1:8080",
            // nginx has this address.
            Self::Container => "https://localhost",
        }
    }

    /// The folder with the configuration, below the folder of all files.
    pub(super) fn config_dir(self, dir: &Path) -> PathBuf {
        match self {
            Self::Folder | Self::Service => dir.to_owned(),
            // The container sees this folder and not the others.
            Self::Container => dir.join("gateway"),
        }
    }

    /// The paths in the configuration of a gateway with this URL.
    pub(super) fn names(self, public_url: &Url) -> Names {
        match self {
            Self::Folder => Names {
                secrets: "secrets",
                state: None,
                proxy: None,
            },
            Self::Service => Names {
                secrets: "secrets",
                state: Some(STATE_DIR),
                // The gateway listens on loopback without TLS, so a proxy has it.
                proxy: (public_url.scheme() == "https").then_some("127.0.0.1/32"),
            },
            Self::Container => Names {
                secrets: "/run/secrets",
                state: Some(STATE_DIR),
                proxy: Some("10.217.77.2/32"),
            },
        }
    }

    /// The same paths, as far as this process can follow them now: `init` tries the configuration
    /// before it leaves it.
    pub(super) fn names_here(self, public_url: &Url) -> Names {
        let mut names = self.names(public_url);
        if self == Self::Container {
            names.secrets = "../secrets";
        }
        names
    }

    /// The modes of the files.
    ///
    /// # Errors
    /// When the service has no group yet.
    pub(super) fn access(self) -> Result<Access, String> {
        let (folder, file, secrets_folder, secret) = match self {
            Self::Folder => (0o700, 0o600, 0o700, 0o600),
            // The service may read its configuration, and not change it.
            Self::Service => (0o750, 0o640, 0o750, 0o640),
            // The user of the container is nobody's here. Each secret is mounted by itself, so
            // nobody else passes the folder.
            Self::Container => (0o755, 0o644, 0o700, 0o444),
        };
        let group = match self {
            Self::Service => Some(group_of_service()?),
            Self::Folder | Self::Container => None,
        };
        Ok(Access {
            folder,
            file,
            secrets_folder,
            secret,
            group,
        })
    }

    /// The address on which the gateway listens for callers with this URL.
    pub(super) fn listen(self, public_url: &Url) -> String {
        match self {
            Self::Folder | Self::Service => listen(public_url),
            Self::Container => "0.0.0.0:8080".to_owned(),
        }
    }

    /// The files that belong to this place, beside the configuration.
    pub(super) fn companions(self, dir: &Path) -> Vec<(PathBuf, String)> {
        match self {
            Self::Folder => Vec::new(),
            Self::Service if has_unit(dir) => Vec::new(),
            Self::Service => {
                let unit = UNIT.replace(SERVICE_DIR, &dir.to_string_lossy());
                vec![(dir.join(UNIT_NAME), unit)]
            }
            Self::Container => vec![
                (dir.join("compose.yaml"), COMPOSE.to_owned()),
                (dir.join("nginx.conf"), NGINX.to_owned()),
            ],
        }
    }
}

/// Whether a unit is installed that reads the configuration in this folder.
fn has_unit(dir: &Path) -> bool {
    let mut units = UNIT_DIRS.iter().map(Path::new);
    dir == Path::new(SERVICE_DIR) && units.any(|units| units.join(UNIT_NAME).exists())
}

fn group_of_service() -> Result<u32, String> {
    let groups = std::fs::read_to_string(GROUPS).map_err(|error| format!("{GROUPS}: {error}"))?;
    group_id(&groups, USER).ok_or_else(|| {
        format!(
            "there is no group {USER}: install the package, or make the service's user with\n  \
             adduser --system --group --home {STATE_DIR} {USER}"
        )
    })
}

/// The id of a group in the text of group(5).
fn group_id(groups: &str, name: &str) -> Option<u32> {
    let mut lines = groups.lines().map(|line| line.split(':'));
    let mut found = lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    found.nth(1)?.parse().ok()
}

/// The address on which the gateway listens: the one of `public_url`, if that is on this machine's
/// loopback; else a loopback address behind a proxy.
fn listen(public_url: &Url) -> String {
    let port = public_url.port_or_known_default().unwrap_or_default();
    let here = match public_url.host() {
        _ if public_url.scheme() != "http" => None,
        Some(Host::Domain("localhost")) => Some("127.0.0.1".to_owned()),
        Some(Host::Ipv4(address)) if address.is_loopback() => Some(address.to_string()),
        Some(Host::Ipv6(address)) if address.is_loopback() => Some(format!("[{address}]")),
        _ => None,
    };
    here.map_or_else(
        || "127.0.0.1:8080".to_owned(),
        |address| format!("{address}:{port}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(public_url: &str, expected: &str) {
        assert_eq!(listen(&public_url.parse().unwrap()), expected);
    }

    #[test]
    fn a_loopback_public_url_is_the_listening_address() {
        check("http://127.0.0.1:9000", "127.0.0.1:9000");
        check("http://localhost:9000", "127.0.0.1:9000");
        check("http://[::1]", "[::1]:80");
        check("http://192.0.2.1:9000", "127.0.0.1:8080");
        check("https://recordings.example.com", "127.0.0.1:8080");
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nwavegated:x:1:\n:x:2:\nwavegate:x:998:root,wavegate\nwavegate";
        assert_eq!(group_id(groups, "wavegate"), Some(998));
        assert_eq!(group_id(groups, "wave"), None);
        for odd in ["wavegate", "wavegate:x", "wavegate:x:", "wavegate:x:-1:"] {
            assert_eq!(group_id(odd, "wavegate"), None, "{odd}");
        }
    }

    #[test]
    fn the_unit_of_another_folder_reads_the_configuration_there() {
        let dir = Path::new("/srv/gate");
        let files = Place::Service.companions(dir);
        let [(path, unit)] = files.as_slice() else {
            panic!("{files:?}");
        };
        assert_eq!(path, Path::new("/srv/gate/wavegate.service"));
        let line = "\nExecStart=/usr/bin/wavegate serve --config /srv/gate/wavegate.toml\n";
        assert!(unit.contains(line) && !unit.contains(SERVICE_DIR), "{unit}");
    }
}
