//! The tours of the README and of docs/setup.md, word for word: a shell runs their blocks in one
//! go, as if they were pasted. The recording that curl fetched is the PBX's, and no started program
//! is left.

use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wavegate::simulator::wav;

use crate::harness::programs::{Running, program, wavegate};

const README: &str = include_str!("../../../README.md");
const SETUP: &str = include_str!("../../../docs/setup.md");
/// The ports that docs/setup.md uses. Another program may have them here, so these are replaced.
const PORTS: [&str; 3] = ["127.0.0.1:18088", "127.0.0.1:8080", ADMIN];
/// The default address at which the gateway reports whether it is ready.
const ADMIN: &str = "127.0.0.1:8081";

/// The commands between two marks of a page.
fn between(page: &str, mark: &str) -> String {
    let tour = page.split(mark).nth(1).expect("the tour is marked");
    let blocks = tour.split("```sh\n").skip(1);
    blocks
        .filter_map(|block| block.split("```").next())
        .collect()
}

/// The commands of docs/setup.md with free ports, and the address of the admin listener.
fn commands() -> (String, String) {
    let mut commands = between(SETUP, "<!-- tour -->");
    let free = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let mut admin = String::new();
    for (port, free) in PORTS.iter().zip(&free) {
        assert!(commands.contains(port), "{port}");
        admin = free.local_addr().unwrap().to_string();
        commands = commands.replace(port, &admin);
    }
    (commands, admin)
}

/// The search path with one more folder in front.
fn path_with(programs: PathBuf) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap()
}

#[tokio::test]
async fn the_setup_tour_gets_the_recording_and_stops_everything() {
    if program("curl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wavegate"), programs.join("wavegate")).unwrap();
    let path = path_with(programs);
    let (commands, admin) = commands();
    // The only addition to the page: the address of this gateway's admin listener.
    let examine = "wavegate check ";
    assert_eq!(commands.matches(examine).count(), 1);
    let listen = format!("listen = \"{admin}\"");
    let own = format!("sed -i 's/^\\[admin\\]$/&\\n{listen}/' wavegate.toml\n{examine}");
    let commands = commands.replace(examine, &own);

    let (script, mut typed) = std::io::pipe().unwrap();
    let mut sh = Command::new("sh");
    sh.arg("-e")
        .current_dir(folder.path())
        .env("PATH", path)
        .env_remove("WAVEGATE_CONFIG")
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::from(script));
    let shell = Running::start(&mut sh);
    drop(sh);
    typed.write_all(commands.as_bytes()).unwrap();
    drop(typed);
    // Simulator and gateway hold the shell's outputs, which end once both are gone.
    let ended = shell.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let recordings = wav::demo_recordings();
    let name = &recordings[1].0;
    for said in [
        "What to do next",
        "wavegate.toml: no mistakes",
        "recording  ok       WAV, PCM",
        "ready\n",
        "?link=",
        name.as_str(),
    ] {
        assert!(ended.out.contains(said), "no {said:?} in {ended:?}");
    }
    let gateway = folder.path().join("gateway");
    let fetched = std::fs::read(gateway.join("recording.wav")).unwrap();
    assert!(fetched == recordings[1].1);
    let log = std::fs::read_to_string(gateway.join("gateway.log")).unwrap();
    assert!(log.contains("stopped"), "{log}");
}

#[tokio::test]
async fn the_tour_of_the_readme_shows_what_it_says() {
    if program("curl").is_none() {
        return;
    }
    let demo = Running::start(&mut wavegate(&["demo", "--listen", "127.0.0.1:0"]));
    let printed = demo.out.until(|text| text.contains("Ctrl-C")).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("demo.txt"), printed).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_wavegate"));
    let mut sh = Command::new("sh");
    sh.args(["-e", "-c", &between(README, "<!-- demo -->")])
        .current_dir(folder.path())
        .env("PATH", path_with(program.parent().unwrap().to_owned()));
    let ended = Running::start(&mut sh).end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let (name, recording) = &wav::demo_recordings()[1];
    for file in ["recording.wav", "linked.wav"] {
        assert!(std::fs::read(folder.path().join(file)).unwrap() == *recording);
    }
    let range = format!("content-range: bytes 480000-480099/{}", recording.len());
    for said in [
        "206",
        range.as_str(),
        "bearer-token-invalid",
        "link-for-another-recording",
        name.as_str(),
        "heard_s",
    ] {
        assert!(ended.out.contains(said), "no {said:?} in {ended:?}");
    }
    assert_eq!(demo.stop().await.code, Some(0));
}
