//! The container: what `Containerfile` and `config/compose.yaml` say, and the gateway as it runs
//! there.
//!
//! No image is built here, since that takes a registry of images. The program runs in a root with
//! only the files of the image: the program, the libraries of the base image, and the mounts of the
//! compose file; read-only, as the image's user. If the machine permits no mounts, a line says so.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::Method;
use serde_json::Value;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::programs::{Running, program, run_wavegate};
use crate::harness::{Call, NAME, write_secret};

const CONTAINERFILE: &str = include_str!("../../Containerfile");
const MANIFEST: &str = include_str!("../../Cargo.toml");
/// The libraries in the base image (distroless `cc`: libc6, libgcc-s1, libstdc++6).
const LIBRARIES: [&str; 5] = [
    "linux-vdso.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
];

/// The lines of an instruction of the Containerfile, without its name.
fn instructions(name: &str) -> Vec<&'static str> {
    let lines = CONTAINERFILE.lines();
    let lines = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let found: Vec<_> = lines.collect();
    assert!(!found.is_empty(), "no {name}");
    found
}

/// A line for a skipped test; with `CI=true` a failure.
fn skipped(why: &str) {
    let required = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!required, "{why}");
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "container: skipped, {why}");
}

/// `config/compose.yaml` as JSON.
fn compose() -> Option<Value> {
    let python = program("python3")?;
    let code = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/compose.yaml");
    let output = Command::new(python).args(["-c", code, file]).output();
    let output = output.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    if error.contains("No module named 'yaml'") {
        skipped("python3-yaml is not installed");
        return None;
    }
    assert!(output.status.success(), "{error}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn texts(value: &Value) -> Vec<&str> {
    let list = value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"));
    list.iter().map(|item| item.as_str().unwrap()).collect()
}

/// The files of `init --container`, for this public URL.
async fn written(pbx: &Simulator, public_url: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("gate");
    let password = folder.path().join("password");
    write_secret(&password, "hunter2");
    let url = pbx.url();
    let ended = run_wavegate(&[
        "init",
        "--container",
        "--dir",
        dir.to_str().unwrap(),
        "--api",
        "s-series-2.0.0",
        "--url",
        &url,
        "--fingerprint",
        pbx.fingerprint(),
        "--username",
        "api",
        "--password-file",
        password.to_str().unwrap(),
        "--public-url",
        public_url,
    ])
    .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    folder
}

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(2));
    builder.credentials("api", "hunter2").start().await.unwrap()
}

#[tokio::test]
async fn compose_mounts_what_init_writes_and_starts_what_the_image_has() {
    let Some(compose) = compose() else { return };
    let pbx = pbx().await;
    let folder = written(&pbx, "https://localhost").await;
    let dir = folder.path().join("gate");
    let services = compose["services"].as_object().unwrap();
    let names: Vec<_> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["nginx", "wavegate-1", "wavegate-2"]);

    // Each mount of this machine is there; the certificate is the administrator's.
    let mut mounted = 0;
    for service in services.values() {
        for volume in texts(&service["volumes"]) {
            let (source, rest) = volume.split_once(':').unwrap();
            match source.strip_prefix("./") {
                Some("certs") => assert_eq!(rest, "/etc/wavegate/certs:ro"),
                Some(path) => assert!(dir.join(path).exists(), "{volume}"),
                None => assert!(compose["volumes"].get(source).is_some(), "{volume}"),
            }
            mounted += 1;
        }
    }
    assert!(mounted >= 6);
    let secrets = compose["secrets"].as_object().unwrap();
    for secret in secrets.values() {
        let path = secret["file"].as_str().unwrap();
        assert!(dir.join(path).is_file(), "{path}");
    }

    let config = std::fs::read_to_string(dir.join("gateway/wavegate.toml")).unwrap();
    let named = config.split("\"/run/secrets/").skip(1);
    let named: BTreeSet<_> = named.map(|rest| rest.split('"').next().unwrap()).collect();
    let entrypoint: Value = serde_json::from_str(instructions("ENTRYPOINT")[0]).unwrap();
    let binary = entrypoint[0].as_str().unwrap();
    let mut states = BTreeSet::new();
    for name in ["wavegate-1", "wavegate-2"] {
        let service = &services[name];
        let given: BTreeSet<_> = texts(&service["secrets"]).into_iter().collect();
        assert_eq!(given, named);
        let volumes = texts(&service["volumes"]);
        let expected = "./gateway:/etc/wavegate:ro";
        assert!(volumes.contains(&expected), "{volumes:?}");
        let state = volumes.iter().find(|volume| volume.contains("state"));
        let (volume, target) = state.unwrap().split_once(':').unwrap();
        assert!(states.insert(volume), "{volume} belongs to two instances");
        assert!(config.contains(&format!("state_dir = \"{target}\"")));
        assert_eq!(instructions("VOLUME"), [target]);
        assert_eq!(service["read_only"], true);
        assert_eq!(
            texts(&service["healthcheck"]["test"]),
            ["CMD", binary, "health"]
        );
        assert!(service.get("ports").is_none(), "only nginx is reached");
    }
}

#[tokio::test]
async fn nginx_reaches_the_instances_and_is_the_proxy_they_trust() {
    let Some(compose) = compose() else { return };
    let pbx = pbx().await;
    let folder = written(&pbx, "https://localhost").await;
    let dir = folder.path().join("gate");
    let services = &compose["services"];
    let address = |name: &str| {
        let network = &services[name]["networks"]["gateways"];
        network["ipv4_address"].as_str().unwrap().to_owned()
    };
    let config = std::fs::read_to_string(dir.join("gateway/wavegate.toml")).unwrap();
    let trusted = format!("trusted_proxies = [\"{}/32\"]", address("nginx"));
    assert!(config.contains(&trusted), "{config}");

    // The command makes nginx's configuration; only nginx itself is left out.
    let command = texts(&services["nginx"]["command"]);
    let (made, exec) = command[2].split_once("&&").unwrap();
    assert_eq!(
        exec.trim(),
        "exec nginx -c /tmp/nginx.conf -g 'daemon off;'"
    );
    let script = made
        .replace("/etc/wavegate/nginx.conf", "\"$F/gate/nginx.conf\"")
        .replace("/tmp/nginx.conf", "\"$F/made\"");
    let status = Command::new("sh")
        .args(["-c", &script])
        .env("F", folder.path())
        .status();
    assert!(status.unwrap().success());
    let made = std::fs::read_to_string(folder.path().join("made")).unwrap();
    let servers = made.lines().map(str::trim);
    let servers: Vec<_> = servers
        .filter_map(|line| line.strip_prefix("server ")?.split([' ', ';']).next())
        .filter(|server| *server != "{")
        .collect();
    let instances = ["wavegate-1", "wavegate-2"].map(|name| format!("{}:8080", address(name)));
    assert_eq!(servers, instances);
    assert!(made.contains("access_log /dev/stdout wavegate;"));
}

#[test]
fn the_image_is_made_of_what_the_tree_has() {
    let build = instructions("RUN")[0];
    assert!(build.contains("--profile dist --no-default-features"));
    assert!(MANIFEST.contains("[profile.dist]"));
    let version = MANIFEST.split("rust-version = \"").nth(1).unwrap();
    let version = version.split('"').next().unwrap();
    let bases = instructions("FROM");
    assert!(bases[0].contains(&format!("rust:{version}-")), "{bases:?}");
    // The base image has the C library of the Debian that the program is built on.
    assert!(
        bases[0].contains("-bookworm") && bases[1].contains("-debian12"),
        "{bases:?}"
    );
    let binary = instructions("COPY")[1];
    assert_eq!(
        binary,
        "--from=build /src/target/dist/wavegate /usr/bin/wavegate"
    );
    let user = instructions("USER")[0];
    assert!(
        user.split(':').all(|id| id.parse::<u32>().unwrap() > 0),
        "{user}"
    );
    let health = CONTAINERFILE.contains("CMD [\"/usr/bin/wavegate\", \"health\"]");
    assert!(health && instructions("CMD") == ["[\"serve\"]"]);
}

/// The libraries that the program loads, with their paths here.
fn libraries() -> Vec<PathBuf> {
    let output = Command::new("ldd")
        .arg(env!("CARGO_BIN_EXE_wavegate"))
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut paths = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let name = Path::new(words[0]).file_name().unwrap().to_str().unwrap();
        assert!(LIBRARIES.contains(&name), "the base image has no {name}");
        paths.extend(
            words
                .iter()
                .find(|word| word.starts_with('/'))
                .map(PathBuf::from),
        );
    }
    assert!(!paths.is_empty(), "{text}");
    paths
}

/// A root with the image's files and the mounts of the compose file. `$F` is the folder, `$0` the
/// program, and the arguments go to it.
fn root() -> String {
    let mut script = String::from(
        "set -e\nR=\"$F/root\"; mkdir -p \"$R\"; mount -t tmpfs -o mode=755 none \"$R\"
mkdir -p \"$R/usr/bin\" \"$R/etc/wavegate\" \"$R/run/secrets\" \"$R/var/lib/wavegate\" \"$R/proc\"\n",
    );
    for path in libraries() {
        let (path, folder) = (path.display(), path.parent().unwrap().display());
        script.push_str(&format!(
            "mkdir -p \"$R{folder}\"; cp -L {path} \"$R{path}\"\n"
        ));
    }
    script.push_str(
        "touch \"$R/usr/bin/wavegate\"; mount --bind \"$0\" \"$R/usr/bin/wavegate\"
mount --bind \"$F/gate/gateway\" \"$R/etc/wavegate\"; mount -o remount,bind,ro \"$R/etc/wavegate\"
for s in \"$F\"/gate/secrets/*; do
    touch \"$R/run/secrets/${s##*/}\"; mount --bind \"$s\" \"$R/run/secrets/${s##*/}\"
    mount -o remount,bind,ro \"$R/run/secrets/${s##*/}\"
done
mount -t tmpfs -o uid=65532,gid=65532,mode=700 none \"$R/var/lib/wavegate\"
mount --bind /proc \"$R/proc\"
mount -o remount,ro \"$R\"
exec chroot --userspec 65532:65532 --groups= \"$R\" /usr/bin/wavegate \"$@\"",
    );
    script
}

/// The program in that root, or `None` if no mounts can be made.
fn contained(folder: &Path, arguments: &[&str]) -> Option<Command> {
    let unshare = program("unshare")?;
    let namespace = ["--mount", "--propagation", "private", "sh", "-c"];
    let tried = Command::new(&unshare)
        .args(namespace)
        .arg("mount -t tmpfs none /run")
        .output();
    let tried = tried.unwrap();
    if !tried.status.success() {
        skipped(&String::from_utf8_lossy(&tried.stderr));
        return None;
    }
    let mut command = Command::new(unshare);
    command
        .args(namespace)
        .args([&root(), env!("CARGO_BIN_EXE_wavegate")])
        .args(arguments)
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("F", folder)
        .env("WAVEGATE_CONFIG", "/etc/wavegate/wavegate.toml");
    Some(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_serves_from_a_read_only_root_as_nobody() {
    let pbx = pbx().await;
    let free = ["127.0.0.1:0"; 2].map(|any| TcpListener::bind(any).unwrap());
    let [listen, admin] = free.map(|socket| socket.local_addr().unwrap());
    let folder = written(&pbx, &format!("http://{listen}")).await;
    let folder = folder.path();
    let config = folder.join("gate/gateway/wavegate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text
        .replace("0.0.0.0:8080", &listen.to_string())
        .replace("[admin]", &format!("[admin]\nlisten = \"{admin}\""));
    std::fs::write(&config, text).unwrap();

    let Some(mut check) = contained(folder, &["check"]) else {
        return;
    };
    let checked = Running::start(&mut check).end().await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("no mistakes"), "{checked:?}");
    let health = || Running::start(&mut contained(folder, &["health"]).unwrap()).end();
    assert_eq!(health().await.code, Some(1));

    let running = Running::start(&mut contained(folder, &["serve"]).unwrap());
    running.err.until(|log| log.contains("listening")).await;
    let healthy = health().await;
    assert_eq!((healthy.code, healthy.out.as_str()), (Some(0), "ready\n"));
    let user = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap();
    assert!(user.contains("Uid:\t65532\t65532"), "{user}");
    let token = ["token", "--subject", "alice"];
    let token = Running::start(&mut contained(folder, &token).unwrap())
        .end()
        .await;
    let call = Call::new(listen, Method::GET, &format!("/recordings/{NAME}"));
    let answer = call.bearer(token.out.trim()).send().await;
    assert_eq!(answer.status(), 200, "{}", running.err.text());
    assert_eq!(answer.bytes().await.unwrap(), wav::music(2));
    assert_eq!(running.stop().await.code, Some(0));
}
