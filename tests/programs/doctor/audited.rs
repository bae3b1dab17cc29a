//! A recording that `doctor` reads is written to an audit log of its own; otherwise it is not read.

use serde_json::Value;
use wavegate::simulator::Api;

use super::{diagnose, run, simulator};
use crate::harness::programs::run_wavegate;
use crate::harness::{NAME, PBX, gateway};

#[tokio::test]
async fn a_recording_that_doctor_reads_has_a_line_in_its_log() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx).audit();
    let running = builder.start().await;
    let config = running.folder().join("wavegate.toml");
    let ended = run(&config, &["--recording", NAME]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let log = running.folder().join("audit/doctor");
    let lines: Vec<Value> = std::fs::read_dir(&log)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("audit")
        })
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            lines.collect::<Vec<Value>>()
        })
        .collect();
    let read = lines.iter().find(|line| line["kind"] == "system_read");
    let read = read.unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!(
        (&read["purpose"], &read["pbx"]),
        (&"doctor".into(), &PBX.into())
    );
    assert_eq!(read["recording"], NAME);
    let verified = run_wavegate(&["audit", "verify", log.to_str().unwrap()]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[tokio::test]
async fn a_read_that_cannot_be_written_down_does_not_happen() {
    let pbx = simulator(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx).audit();
    let folder = builder.folder().join("audit");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("doctor"), "in the way").unwrap();
    let diagnosis = diagnose(&builder, &["--recording", NAME]).await;
    diagnosis.fails_at("recording", "cannot be written down", "audit.dir");
    assert_eq!(pbx.seen().downloads_started, 0);
    assert!(!diagnosis.ok);
}
