//! The cost of one request, in counts that do not depend on the mood of the machine: instructions
//! in user mode, allocations and system calls.
//!
//! The program runs under valgrind's callgrind, then under strace, in front of a simulated PBX. One
//! caller sends the same request again and again on one connection. Policy, audit log, access log
//! and metrics are on. The counts are compared with those in `benches/cost.toml`; the bench fails
//! if one has grown by more than 5 %. `WAVEGATE_WRITE_COST=1` writes the file anew.
//!
//! The counts depend on the profile. The file has those of `cargo bench --bench cost --profile
//! dev`, which the whole check runs, since that build is there anyway; without `--profile` those of
//! `dist` are printed.
//!
//! Does not show: time, several callers, or the kernel's work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    reason = "a bench that cannot go on stops"
)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, HOST};
use http_body_util::Full;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wavegate::simulator::{Api, Simulator, wav};

use support::{Connection, Gateway};

/// The growth of a count that is accepted.
const MAX_GROWTH: f64 = 1.05;
/// The same for reads from the PBX: their number depends on how its bytes arrive.
const MAX_GROWTH_OF_READS: f64 = 1.25;
/// Requests before the counting begins, and the counted ones.
const WARM_UP: usize = 20;
const COUNTED: usize = 60;
const SIZES: [(&str, usize); 2] = [("1k", 1_024), ("64k", 65_536)];

/// One kind of request.
struct RequestKind {
    name: &'static str,
    recording: &'static str,
    credential: Credential,
    is_cached: bool,
    status: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum Credential {
    Valid,
    Absent,
    WrongSignature,
}

const fn kind(name: &'static str, recording: &'static str, is_cached: bool) -> RequestKind {
    RequestKind {
        name,
        recording,
        credential: Credential::Valid,
        is_cached,
        status: 200,
    }
}

const KINDS: [RequestKind; 6] = [
    kind("1 KB from the PBX", "1k", false),
    kind("64 KB from the PBX", "64k", false),
    kind("1 KB from the cache", "1k", true),
    kind("64 KB from the cache", "64k", true),
    RequestKind {
        credential: Credential::Absent,
        status: 401,
        ..kind("401, no token", "1k", false)
    },
    RequestKind {
        credential: Credential::WrongSignature,
        status: 401,
        ..kind("401, wrong signature", "1k", false)
    },
];

/// The counts of one request.
type Counts = BTreeMap<&'static str, f64>;

fn main() -> ExitCode {
    let runtime = Runtime::new().unwrap();
    let pbx = runtime.block_on(start_pbx());
    for tool in ["valgrind", "strace"] {
        let is_there = Command::new(tool).arg("--version").output().is_ok();
        if !is_there && std::env::var_os("CI").is_some() {
            println!("{tool} is not installed");
            return ExitCode::FAILURE;
        }
        if !is_there {
            println!("skipped: {tool} is not installed");
            return ExitCode::SUCCESS;
        }
    }
    let program = Path::new(env!("CARGO_BIN_EXE_wavegate"));
    let mut counted = BTreeMap::new();
    for kind in &KINDS {
        let mut counts = under_callgrind(&runtime, &pbx, program, kind);
        counts.extend(under_strace(&runtime, &pbx, program, kind));
        counted.insert(kind.name, counts);
    }
    compare(&counted)
}

async fn start_pbx() -> Simulator {
    let mut builder = Simulator::builder(Api::SSeries200).certificate_for(["127.0.0.1"]);
    for (name, bytes) in SIZES {
        builder = builder.recording(format!("{name}.wav"), wav::pcm_of_size(bytes));
    }
    builder.start().await.unwrap()
}

/// Further sections of the configuration.
fn sections(folder: &Path, is_cached: bool) -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    support::write(folder, "audit-key", &key.serialize_pem());
    let audit = folder.display();
    let cache = if is_cached {
        ""
    } else {
        "[cache]\nmax_bytes = 0\n"
    };
    format!("[audit]\ndir = \"{audit}/audit\"\nkey_file = \"{audit}/audit-key\"\n{cache}")
}

/// The program in front of the PBX, started by `command` with the arguments of `serve` behind it.
fn start(pbx: &Simulator, kind: &RequestKind, command: Command) -> (Gateway, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let more = sections(folder.path(), kind.is_cached);
    (Gateway::start_by(command, pbx, 1, &more), folder)
}

fn request(kind: &RequestKind) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .uri(format!("/recordings/{}.wav", kind.recording))
        .header(HOST, "localhost");
    if kind.credential != Credential::Absent {
        let mut authorization = support::authorization();
        if kind.credential == Credential::WrongSignature {
            // The first character of the signature.
            let place = authorization.rfind('.').unwrap() + 1;
            let other = match authorization.as_bytes()[place] {
                b'A' => "B",
                _ => "A",
            };
            authorization.replace_range(place..=place, other);
        }
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Full::default()).unwrap()
}

/// Sends the same request so many times.
async fn ask(connection: &mut Connection, kind: &RequestKind, times: usize) {
    let request = request(kind);
    for _ in 0..times {
        let answer = connection.send(request.clone()).await.unwrap();
        assert_eq!(answer.status.as_u16(), kind.status, "{}", kind.name);
        if kind.status == 200 {
            let (_, bytes) = SIZES
                .iter()
                .find(|(name, _)| *name == kind.recording)
                .unwrap();
            assert_eq!(answer.bytes, *bytes, "{}", kind.name);
        }
    }
}

/// Counts instructions and allocations.
fn under_callgrind(
    runtime: &Runtime,
    pbx: &Simulator,
    program: &Path,
    kind: &RequestKind,
) -> Counts {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command
        .args(["-q", "--tool=callgrind", "--instr-atstart=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(program);
    let (gateway, _folder) = start(pbx, kind, command);
    let id = gateway.process.id().to_string();
    let switch = |state| run("callgrind_control", &["-i", state, &id]);
    runtime.block_on(async {
        let mut connection = Connection::to(gateway.addr).await;
        ask(&mut connection, kind, WARM_UP).await;
        switch("on");
        ask(&mut connection, kind, COUNTED).await;
        switch("off");
    });
    terminate(gateway, &id);
    let text = std::fs::read_to_string(file).unwrap();
    let per_request = |count: u64| count as f64 / COUNTED as f64;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    BTreeMap::from([
        (
            "instructions",
            per_request(totals.unwrap().parse().unwrap()),
        ),
        ("allocations", per_request(allocations(&text))),
    ])
}

/// The calls of the allocator in a file of callgrind.
fn allocations(text: &str) -> u64 {
    // A name is written once, with a number in front of it; later only the number.
    let mut names = BTreeMap::new();
    let (mut is_allocation, mut count) = (false, 0);
    for line in text.lines() {
        if let Some(called) = line.strip_prefix("cfn=") {
            let (number, name) = called.split_once(' ').unwrap_or((called, ""));
            let name = names
                .entry(number.to_owned())
                .or_insert_with(|| name.to_owned());
            is_allocation = is_allocator(name);
        } else if let Some(named) = line.strip_prefix("fn=") {
            if let Some((number, name)) = named.split_once(' ') {
                names
                    .entry(number.to_owned())
                    .or_insert_with(|| name.to_owned());
            }
        } else if let Some(calls) = line.strip_prefix("calls=")
            && is_allocation
        {
            count += calls.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    count
}

/// The functions that ask for memory: those of Rust, and those of the system, for the libraries in
/// C.
fn is_allocator(name: &str) -> bool {
    let name = name.rsplit("::").next().unwrap_or(name);
    matches!(
        name,
        "__rust_alloc" | "__rust_alloc_zeroed" | "__rust_realloc" | "malloc" | "calloc" | "realloc"
    )
}

/// Counts the system calls that move bytes. How often the program sleeps depends on the machine.
fn under_strace(runtime: &Runtime, pbx: &Simulator, program: &Path, kind: &RequestKind) -> Counts {
    let calls = |requests| {
        let out = tempfile::tempdir().unwrap();
        let file = out.path().join("strace.out");
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-o"]).arg(&file).arg(program);
        let (gateway, _folder) = start(pbx, kind, command);
        let tracer = gateway.process.id();
        let children = format!("/proc/{tracer}/task/{tracer}/children");
        let id = std::fs::read_to_string(children).unwrap();
        runtime.block_on(async {
            let mut connection = Connection::to(gateway.addr).await;
            ask(&mut connection, kind, WARM_UP + requests).await;
        });
        terminate(gateway, id.trim());
        bytes_moved(&std::fs::read_to_string(file).unwrap())
    };
    let count = calls(COUNTED).saturating_sub(calls(0));
    BTreeMap::from([("system_calls", count as f64 / COUNTED as f64)])
}

fn bytes_moved(table: &str) -> u64 {
    let moves = [
        "recvfrom",
        "sendto",
        "readv",
        "writev",
        "recvmsg",
        "sendmsg",
        "fdatasync",
    ];
    let rows = table.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let name = columns.last().filter(|name| moves.contains(name))?;
        Some((name.len(), columns.get(3)?.parse::<u64>().ok()?))
    });
    rows.map(|(_, count)| count).sum()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
}

/// Lets the program end by itself: its tool writes the counts then.
fn terminate(mut gateway: Gateway, id: &str) {
    run("kill", &["-TERM", id]);
    gateway.process.wait();
}

/// The file with the counts of this profile, and that of the other one.
fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cost.toml")
}

const PROFILE: &str = if cfg!(debug_assertions) {
    "dev"
} else {
    "dist"
};

fn compare(counted: &BTreeMap<&str, Counts>) -> ExitCode {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap();
    let mut grown = 0;
    println!(
        "{:24}{:>14}{:>14}{:>14}",
        PROFILE, "instructions", "allocations", "system calls"
    );
    for (kind, counts) in counted {
        let mut line = format!("{kind:24}");
        for name in ["instructions", "allocations", "system_calls"] {
            let _ = write!(line, "{:>14.1}", counts[name]);
        }
        println!("{line}");
        for (name, count) in counts {
            let place = table
                .get(PROFILE)
                .and_then(|kinds| kinds.get(kind)?.get(name));
            let Some(expected) = place.and_then(toml::Value::as_float) else {
                println!("  {name}: no count in benches/cost.toml");
                grown += 1;
                continue;
            };
            if *count > expected * max_growth(kind, name) {
                println!("  {name} grew from {expected:.1} to {count:.1}");
                grown += 1;
            }
        }
    }
    if std::env::var_os("WAVEGATE_WRITE_COST").is_some() {
        let other = table.into_iter().filter(|(profile, _)| profile != PROFILE);
        let other = other.map(|(profile, kinds)| (profile, kinds.try_into().unwrap()));
        let ours = counted.iter().map(|(kind, counts)| {
            let counts = counts.iter();
            let counts = counts.map(|(name, count)| ((*name).to_owned(), *count));
            ((*kind).to_owned(), counts.collect())
        });
        let ours = (PROFILE.to_owned(), ours.collect());
        std::fs::write(file(), text_of(&other.chain([ours]).collect())).unwrap();
        return ExitCode::SUCCESS;
    }
    if !table.contains_key(PROFILE) {
        println!("benches/cost.toml has no counts of this profile to compare with");
        return ExitCode::SUCCESS;
    }
    if grown > 0 {
        println!(
            "{grown} counts have grown: make them smaller, or say in the commit why they may be larger, and run with WAVEGATE_WRITE_COST=1"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The growth of this count that is accepted.
fn max_growth(kind: &str, name: &str) -> f64 {
    match kind.ends_with("from the PBX") && name == "system_calls" {
        true => MAX_GROWTH_OF_READS,
        false => MAX_GROWTH,
    }
}

/// Counts by profile, kind of request and name, as the file has them.
fn text_of(profiles: &BTreeMap<String, BTreeMap<String, BTreeMap<String, f64>>>) -> String {
    let mut text =
        "# The counts of `cargo bench --bench cost` for one request, by profile.\n".to_owned();
    for (profile, kinds) in profiles {
        for (kind, counts) in kinds {
            let _ = writeln!(text, "\n[{profile}.\"{kind}\"]");
            for (name, count) in counts {
                let _ = writeln!(text, "{name} = {count:.1}");
            }
        }
    }
    text
}
