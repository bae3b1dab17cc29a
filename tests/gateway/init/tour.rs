//! The README's tour, word for word: a shell runs its blocks, and the recording that curl fetched is the PBX's.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use wavegate::simulator::wav;

use crate::programs::{Running, program};

const README: &str = include_str!("../../../README.md");
/// The ports that the README uses. Another program may have them here, so these are replaced.
const PORTS: [&str; 2] = ["127.0.0.1:18088", "127.0.0.1:8080"];

/// The commands between the README's marks, block by block.
fn blocks() -> Vec<String> {
    let tour = README
        .split("<!-- tour -->")
        .nth(1)
        .expect("the tour is marked");
    let mut blocks: Vec<String> = tour
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect();
    let free = PORTS.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    for (port, free) in PORTS.iter().zip(&free) {
        let free = free.local_addr().unwrap().to_string();
        assert!(blocks.iter().any(|block| block.contains(port)), "{port}");
        for block in &mut blocks {
            *block = block.replace(port, &free);
        }
    }
    blocks
}

/// Waits for a file that holds `word`; a human looks for it, too, before going on.
async fn until_written(file: &Path, word: &str) {
    let mut tail = Command::new("tail");
    let tail = Running::start(tail.args(["-n", "+1", "-F"]).arg(file));
    tail.out.until(|text| text.contains(word)).await;
}

#[tokio::test]
async fn the_readmes_tour_ends_with_the_recording() {
    if program("curl").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wavegate"), programs.join("wavegate")).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)));
    let blocks = blocks();
    let [simulate, init, examine, serve, fetch] = &blocks[..] else {
        panic!("{} blocks", blocks.len());
    };

    let (script, mut typed) = std::io::pipe().unwrap();
    let mut sh = Command::new("sh");
    sh.arg("-e")
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env_remove("WAVEGATE_CONFIG")
        .env_remove("STATE_DIRECTORY")
        .stdin(Stdio::from(script));
    let shell = Running::start(&mut sh);
    drop(sh);
    let mut type_in = |block: &str| typed.write_all(block.as_bytes()).unwrap();
    let gateway = folder.path().join("gateway");
    type_in(simulate);
    until_written(&gateway.join("pbx.txt"), "pins = ").await;
    type_in(init);
    shell
        .out
        .until(|text| text.contains("What to do next"))
        .await;
    // Another gateway may run on this machine.
    let config = gateway.join("wavegate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        format!("{text}\n[admin]\nlisten = \"127.0.0.1:0\"\n"),
    )
    .unwrap();
    type_in(examine);
    let healthy = |text: &str| text.contains("recording  ok       WAV, PCM");
    let text = shell.out.until(healthy).await;
    assert!(text.contains("wavegate.toml: no mistakes"), "{text}");
    type_in(serve);
    until_written(&gateway.join("gateway.log"), "listening").await;
    type_in(fetch);
    let text = shell.out.until(|text| text.contains("?link=")).await;

    let recordings = wav::demo_recordings();
    let name = &recordings[1].0;
    assert!(text.contains(name.as_str()), "{text}");
    let fetched = std::fs::read(gateway.join("recording.wav")).unwrap();
    assert!(fetched == recordings[1].1);
}
