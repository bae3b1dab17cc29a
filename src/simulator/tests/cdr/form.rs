//! The form of a CDR under its switches, and its faults.

use super::*;

/// Returns the whole CDR of a box of API 1.1.0 with these switches, and the box.
async fn table(switches: &[Switch]) -> (String, Simulator) {
    let pbx = pbx(Api::SSeries110, switches).await;
    let answer = CdrClient::of(&pbx, Api::SSeries110)
        .await
        .fetch("all", ALL)
        .await;
    assert_eq!(answer.status, 200);
    (String::from_utf8(answer.body.to_vec()).unwrap(), pbx)
}

#[tokio::test]
async fn a_switch_changes_the_form_of_the_cdr() {
    let (plain, _) = table(&[]).await;
    let lines: Vec<&str> = plain.lines().collect();
    assert_eq!(table(&[Switch::CsvBom]).await.0, format!("\u{feff}{plain}"));
    assert_eq!(
        table(&[Switch::CsvCrlf]).await.0,
        plain.replace('\n', "\r\n")
    );
    let (quoted, _) = table(&[Switch::CsvQuoted]).await;
    let unquoted = |line: &str| line.split(',').any(|value| !value.starts_with('"'));
    assert!(!quoted.lines().any(unquoted), "{quoted}");
    assert_eq!(quoted.replace('"', ""), plain);
    let (blanks, _) = table(&[Switch::CsvBlanks]).await;
    assert!(blanks.starts_with(" callid , timestart ,") && blanks.contains(",  ,"));
    let (both, _) = table(&[Switch::CsvBlanks, Switch::CsvQuoted]).await;
    assert!(both.starts_with("\" callid \",\" timestart \","));

    let (reordered, _) = table(&[Switch::CsvColumnsReordered]).await;
    for (line, other) in lines.iter().zip(reordered.lines()) {
        let backwards: Vec<&str> = other.split(',').rev().collect();
        assert_eq!(*line, backwards.join(","));
    }
    let (capital, _) = table(&[Switch::CsvCapitalHeader]).await;
    let header = format!("{}\n", lines[0]);
    assert_eq!(capital, plain.replace(&header, &header.to_uppercase()));
    let (newest, _) = table(&[Switch::CsvNewestFirst]).await;
    let backwards: Vec<&str> = newest.lines().skip(1).collect();
    assert!(backwards.iter().rev().eq(&lines[1..]));
    let (extra, _) = table(&[Switch::CsvExtraColumns]).await;
    let unknown = |line: &str| line.starts_with("no,") && line.ends_with(",remark");
    assert!(extra.lines().next().is_some_and(unknown));
    let known = |line: &str| {
        line.split(',')
            .skip(1)
            .take(14)
            .collect::<Vec<_>>()
            .join(",")
    };
    assert!(extra.lines().map(known).eq(lines.iter().copied()));
    let (without, _) = table(&[Switch::CsvWithoutRecordingColumn]).await;
    assert!(!without.contains("recording") && !without.contains(".wav"));
    assert_eq!(without.lines().count(), lines.len());

    let (header_only, pbx) = table(&[Switch::CsvHeaderOnly]).await;
    assert_eq!(header_only, header);
    assert_eq!(pbx.seen().cdr_rows_sent, 0);
    let (empty, pbx) = table(&[Switch::CsvEmptyBody]).await;
    assert_eq!((&*empty, pbx.seen().cdr_tickets_used), ("", 1));
    let (named, _) = table(&[Switch::CsvNameWithCommaAndQuote]).await;
    assert!(
        named.contains(",\"Doe, \"\"Jo\"\"<1000>\",2000,"),
        "{named}"
    );
}

#[tokio::test]
async fn under_its_switch_each_call_has_two_rows() {
    let (text, _pbx) = table(&[Switch::CsvRowsRepeat]).await;
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(rows.len(), 8);
    for pair in rows.chunks(2) {
        assert_eq!((pair[0][0], pair[0][11]), (pair[1][0], pair[1][11]));
        assert!(pair[0][1] < pair[1][1]);
    }
    assert_eq!(
        (rows[0][1], rows[1][1]),
        ("2026-01-01 01:00:00", "2026-01-01 01:00:07")
    );

    // A row whose own start lies outside the period is left out.
    let pbx = pbx(
        Api::SSeries110,
        &[Switch::CsvRowsRepeat, Switch::CsvNewestFirst],
    )
    .await;
    let client = CdrClient::of(&pbx, Api::SSeries110).await;
    let times = ["2026-01-01 01:00:05", "2026-01-01 01:01:07"];
    let answer = client.fetch("all", times).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let starts: Vec<_> = text.lines().skip(1).map(|line| &line[13..32]).collect();
    assert_eq!(
        starts,
        [
            "2026-01-01 01:01:07",
            "2026-01-01 01:01:00",
            "2026-01-01 01:00:07"
        ]
    );
}

#[tokio::test]
async fn a_cdr_download_fails_as_its_switch_says() {
    for (switch, statuses) in [
        (Switch::Cdr504Once, [504, 200]),
        (Switch::Cdr504Always, [504; 2]),
    ] {
        for &api in WITH_CDR {
            let pbx = pbx(api, &[switch]).await;
            let client = CdrClient::of(&pbx, api).await;
            for status in statuses {
                let random = client.random("all", ALL).await.unwrap();
                let answer = client.download("all", ALL, &random).await;
                assert_eq!(answer.status, status, "{api} {switch}");
                assert_eq!(answer.body.starts_with(b"<HTML>"), status == 504);
                let again = client.download("all", ALL, &random).await;
                assert!(again.errno() == "20013" || again.status == 504);
            }
        }
    }
    let (_, pbx) = table(&[Switch::CdrRandomForNobody]).await;
    let seen = pbx.seen();
    assert_eq!((seen.cdr_tickets_used, seen.cdr_tickets_refused), (0, 1));
    let client = CdrClient::of(&pbx, Api::SSeries110).await;
    assert_eq!(client.fetch("all", ALL).await.errno(), "20013");

    let (_, pbx) = table(&[Switch::CdrErrorsAreHtml]).await;
    let client = CdrClient::of(&pbx, Api::SSeries110).await;
    let answer = client.download("all", ALL, "0").await;
    assert!(answer.status == 200 && answer.body.starts_with(b"<!DOCTYPE"));
}

#[tokio::test]
async fn under_its_switch_a_cdr_announces_its_length() {
    let pbx = pbx(Api::SSeries110, &[Switch::CdrWithLength]).await;
    let answer = CdrClient::of(&pbx, Api::SSeries110)
        .await
        .fetch("all", ALL)
        .await;
    let length = answer.body.len().to_string();
    assert_eq!(answer.field("content-length"), Some(&*length));
}

#[tokio::test]
async fn a_fault_strikes_the_cdr() {
    let pbx = pbx(Api::Cloud200, &[]).await;
    let client = CdrClient::of(&pbx, Api::Cloud200).await;
    pbx.inject("cdr-random:errno=20010".parse().unwrap());
    assert_eq!(client.random("all", ALL).await.unwrap_err(), "20010");

    let header_bytes = NEW_HEADER.len() as u64;
    for with_length in [true, false] {
        pbx.inject(ScriptedFault::once(
            CallKind::CdrDownload,
            Misbehavior::Cut {
                after_bytes: header_bytes + 3,
                with_length,
            },
        ));
        let answer = client.fetch("all", ALL).await;
        assert_eq!(answer.body, format!("{NEW_HEADER}176"));
        assert_eq!(answer.field("content-length").is_some(), with_length);
    }
    assert_eq!(pbx.seen().cdr_rows_sent, 0);

    // A fault on a CDR download spends the ticket. A fault of another kind of call does not strike.
    pbx.inject("cdr-download:html=504".parse().unwrap());
    pbx.inject("download:status=500".parse().unwrap());
    let random = client.random("all", ALL).await.unwrap();
    assert_eq!(client.download("all", ALL, &random).await.status, 504);
    assert_eq!(client.download("all", ALL, &random).await.errno(), "20013");

    pbx.inject("cdr-random:dead-token-after-ticket".parse().unwrap());
    assert_eq!(client.fetch("all", ALL).await.errno(), "20004");
}

#[tokio::test]
async fn a_stalled_cdr_lasts_until_the_peer_leaves() {
    let pbx = pbx(Api::SSeries110, &[]).await;
    let client = CdrClient::of(&pbx, Api::SSeries110).await;
    pbx.inject("cdr-download:stall-after=10".parse().unwrap());
    let random = client.random("all", ALL).await.unwrap();
    let path = client.path("all", ALL, &random);
    let stalled = client.http.open("GET", &path, "").await.unwrap();
    pbx.until(|seen| seen.cdr_bytes_sent == 10).await;
    drop(stalled);
    assert_eq!(client.fetch("all", DAY).await.status, 200);
}

#[tokio::test]
async fn fifty_thousand_calls_fit_in_one_cdr() {
    let calls = (0..50_000).map(|number| CallRecord::numbered(number, 0));
    let pbx = Simulator::builder(Api::SSeries200).calls(calls);
    let pbx = pbx.start().await.unwrap();
    let client = CdrClient::of(&pbx, Api::SSeries200).await;
    let answer = client.fetch("all", ALL).await;
    let rows = answer.body.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(rows, 50_001);
    pbx.until(|seen| seen.cdr_rows_sent == 50_000).await;
}
