//! Records wherever pieces end, and quotation marks that swallow nothing.

use proptest::prelude::*;

use super::*;

fn read(pieces: &[&[u8]]) -> Result<Vec<Vec<String>>, RecordTooLong> {
    let mut all = Vec::new();
    let mut take = |record: CsvRecord<'_>| {
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        let fields: Vec<String> = record.fields().map(text).collect();
        all.push(match record.is_closed() {
            true => fields,
            false => vec!["?".to_owned()],
        });
        Ok(())
    };
    let mut records = CsvReader::new();
    for piece in pieces {
        records.push(piece, &mut take)?;
    }
    records.finish(&mut take)?;
    Ok(all)
}

#[track_caller]
fn check(text: &str, expected: &[&[&str]]) {
    assert_eq!(read(&[text.as_bytes()]).unwrap(), expected, "{text}");
    for at in 0..=text.len() {
        let (one, other) = text.as_bytes().split_at(at);
        assert_eq!(read(&[one, other]).unwrap(), expected, "{text} at {at}");
    }
}

#[test]
fn records_are_read_wherever_pieces_end() {
    check("", &[]);
    check("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]);
    check("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]);
    check("a,b\r\n\r\n,\r\n", &[&["a", "b"], &["", ""]]);
    check(
        "\"a\",\"b, \"\"c\"\"\r\nd\"\n1,2\n",
        &[&["a", "b, \"c\"\r\nd"], &["1", "2"]],
    );
    check("a,\"b", &[&["a", "b"]]);
}

const HEAD: &[&str] = &["a", "b", "c"];
const ODD: &[&str] = &["?"];

#[test]
fn a_line_break_within_quotation_marks_is_part_of_the_field() {
    check(
        "a,b,c\n1,\"x\ny\",2\n3,4,5\n",
        &[HEAD, &["1", "x\ny", "2"], &["3", "4", "5"]],
    );
    check(
        "a,b,c\r\n1,2,\"\"\"x\"\"\r\n\r\ny\"\r\n3,4,5",
        &[HEAD, &["1", "2", "\"x\"\r\n\r\ny"], &["3", "4", "5"]],
    );
    check("a,b,c\n1,2,\"x, y\n\"", &[HEAD, &["1", "2", "x, y\n"]]);
}

#[test]
fn a_mark_that_is_not_closed_in_its_line_swallows_nothing() {
    let good: &[&str] = &["3", "4", "5"];
    check("a,b,c\n1,\"x,2\n3,4,5\n", &[HEAD, ODD, good]);
    check(
        "a,b,c\n1,\"x,2\n3,4,5\n1,\"y,2\n3,4,5\n",
        &[HEAD, ODD, good, ODD, good],
    );
    // The second one looks like the end of the first.
    check(
        "a,b,c\n1,\",2\n3,4,5\n1,\",2\n3,4,5\n",
        &[HEAD, ODD, good, ODD, good],
    );
    // A row that is short besides.
    check("a,b,c\n1,\"x\n3,4,5\n", &[HEAD, ODD, good]);
    check(
        "a,b,c\n1,\"x\n3,4,5\n1,\"y\n3,4,5\n",
        &[HEAD, ODD, good, ODD, good],
    );
    check("a,b,c\n3,4,5\n1,\"x\n", &[HEAD, good, ODD]);
    check("a,b,c\n3,4,5\n1,\"x,2", &[HEAD, good, ODD]);
    // Closed in its line, but not at the end of its field: read as it always was.
    check(
        "a,b,c\n1,\"x\" y,2\n3,4,5\n",
        &[HEAD, &["1", "x y", "2"], good],
    );
    // The lines do not make a row.
    check(
        "a,b,c\n1,\"x\ny\",2,3\n3,4,5\n",
        &[HEAD, ODD, &["y\"", "2", "3"], good],
    );
    check("a,b,c\n1,\"x\ny\" z,2\n", &[HEAD, ODD, &["y\" z", "2"]]);
}

#[test]
fn a_record_has_a_bound() {
    let row = |bytes: usize| format!("{}\n", "x".repeat(bytes));
    assert!(read(&[row(MAX_RECORD_BYTES - 1).as_bytes()]).is_ok());
    assert_eq!(
        read(&[row(MAX_RECORD_BYTES + 1).as_bytes()]),
        Err(RecordTooLong)
    );
    assert_eq!(
        read(&[",".repeat(MAX_FIELDS + 1).as_bytes()]),
        Err(RecordTooLong)
    );
    // The search for the end of a mark has the same one.
    let open = format!("a,b\n\"{}", "x\n".repeat(MAX_RECORD_BYTES));
    let records = read(&[open.as_bytes()]).unwrap();
    assert_eq!(records.len(), 1 + MAX_RECORD_BYTES);
    assert_eq!(records.iter().filter(|record| *record == ODD).count(), 1);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(pieces in proptest::collection::vec("[a,\"\r\n]{0,12}", 0..6)) {
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
        let whole = pieces.concat();
        prop_assert_eq!(read(&pieces), read(&[&whole]));
    }

    #[test]
    fn every_good_row_is_read_whatever_stands_between(
        odd in proptest::collection::vec("([a-c\" ]{0,3},){0,3}[a-c\" ]{0,3}", 1..6),
    ) {
        let good: &[&str] = &["1", "2", "3"];
        let table: String = odd.iter().map(|row| format!("{row}\n1,2,3\n")).collect();
        let records = read(&[format!("a,b,c\n{table}").as_bytes()]).unwrap();
        let found = records.iter().filter(|record| *record == good).count();
        prop_assert_eq!(found, odd.len());
    }

    #[test]
    fn quoted_fields_read_back(rows in proptest::collection::vec(["[a,\"]{0,4}", "[a,\" ]{0,4}", "[a,\"]{0,4}"], 0..6)) {
        let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
        let line = |row: &[String; 3]| row.each_ref().map(quoted).join(",") + "\r\n";
        let table: String = rows.iter().map(line).collect();
        let records = read(&[format!("a,b,c\n{table}").as_bytes()]).unwrap();
        let expected: Vec<Vec<String>> = rows.iter().map(|row| row.to_vec()).collect();
        prop_assert_eq!(records.get(1..), Some(&expected[..]));
    }
}
