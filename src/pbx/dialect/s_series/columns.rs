//! The rows of a table of calls: where its columns are, and what a row says.
//!
//! Knows the names of columns, and which row cannot be read. Does not know how the table is got,
//! pages or filters. Pure.
//!
//! Sources: columns are found by their names, since published clients know different orders of
//! them; the misspelt names are the vendor's. That values may be quoted, and that a byte order mark
//! and blanks may stand around them, is known from published clients, too.
//!
//! A row that is odd is left out and counted, and the others are read: a name with a comma that
//! nobody quoted puts every later value into the wrong column. So a value is believed only where
//! the row is as wide as the header says, or lacks its last, empty fields, and where no other
//! column holds what looks like the name of a recording.

use thiserror::Error;

use crate::list::ListRow;
use crate::pbx::dialect::csv::{CsvRecord, RecordTooLong};
use crate::recording::RecordingName;

/// The reason why a table cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::pbx) enum TableError {
    #[error(transparent)]
    TooLong(#[from] RecordTooLong),
    #[error("there is no column with the names of recordings")]
    NoRecordings,
    /// The last row is short and has no line end.
    #[error("it ends within a row")]
    Cut,
    /// The PBX failed on its way through the table, and said so in place of a row.
    #[error("an object or a page stands among its rows")]
    Interrupted,
}

/// The reading of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pbx) enum TableRow {
    /// A call with a recording.
    Recorded(ListRow),
    /// A call without one.
    Unrecorded,
    /// Nothing but blanks.
    Blank,
    /// The text says why, and repeats nothing of the row.
    Unreadable(&'static str),
}

/// The places of the columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::pbx) struct TableColumns {
    count: usize,
    recording: usize,
    call_id: Option<usize>,
    start: Option<usize>,
    caller: Option<usize>,
    callee: Option<usize>,
    direction: Option<usize>,
    /// The time that the parties talked, which is the part that is recorded; else the time of the
    /// call.
    duration: Option<usize>,
}

impl TableColumns {
    /// Reads the first record.
    pub(in crate::pbx) fn of(header: CsvRecord<'_>) -> Result<Self, TableError> {
        let names: Vec<String> = header.fields().map(column_name).collect();
        let find = |wanted: &[&str]| {
            let place = |wanted: &&str| names.iter().position(|name| name == wanted);
            wanted.iter().find_map(place)
        };
        Ok(Self {
            count: names.len(),
            recording: find(&["recording"]).ok_or(TableError::NoRecordings)?,
            call_id: find(&["callid"]),
            start: find(&["timestart"]),
            caller: find(&["callfrom"]),
            callee: find(&["callto"]),
            direction: find(&["type"]),
            duration: find(&[
                "talkduraction",
                "talkduration",
                "callduraction",
                "callduration",
            ]),
        })
    }

    /// Reads any other record.
    ///
    /// # Errors
    /// When it shows that the table was cut or went wrong.
    pub(in crate::pbx) fn row(&self, record: CsvRecord<'_>) -> Result<TableRow, TableError> {
        let is_short = record.len() < self.count;
        if is_short && !record.has_line_end() {
            return Err(TableError::Cut);
        }
        if record.fields().all(|field| field.trim_ascii().is_empty()) {
            return Ok(TableRow::Blank);
        }
        match self.read(record) {
            Ok(TableRow::Recorded(row)) if names_a_recording(&row.name) => {
                Ok(TableRow::Recorded(row))
            }
            _ if is_interruption(record) => Err(TableError::Interrupted),
            Err(_) | Ok(TableRow::Unrecorded) if holds_an_object(record) => {
                Err(TableError::Interrupted)
            }
            Ok(found) => Ok(found),
            Err(why) => Ok(TableRow::Unreadable(why)),
        }
    }

    fn read(&self, record: CsvRecord<'_>) -> Result<TableRow, &'static str> {
        if !record.is_closed() {
            return Err("a quotation mark is not closed in its line");
        }
        let surplus = record.fields().skip(self.count);
        if surplus.map(text).any(|field| !field.is_empty()) {
            return Err("it has more fields than there are columns");
        }
        let field = record.field(self.recording).unwrap_or_default();
        if str::from_utf8(field).is_err() {
            return Err("the name of its recording is not UTF-8");
        }
        let row = self.values(record);
        let is_named = names_a_recording(&row.name);
        if !is_named && self.has_slipped(record) {
            return Err("the name of its recording stands in another column");
        }
        match (record.len() < self.count, row.name.is_empty()) {
            (false, true) => Ok(TableRow::Unrecorded),
            (false, false) => Ok(TableRow::Recorded(row)),
            // A name that was cut lacks its ending.
            (true, false) if is_named && has_audio_ending(&row.name) => Ok(TableRow::Recorded(row)),
            // Every call has a type, so a row that reaches the type lacks empty fields only.
            (true, true) if row.local_start.is_some() && self.reaches_type(record) => {
                Ok(TableRow::Unrecorded)
            }
            (true, _) => Err("it has fewer fields than there are columns"),
        }
    }

    fn values(&self, record: CsvRecord<'_>) -> ListRow {
        let at = |index: Option<usize>| {
            let field = index.and_then(|index| record.field(index));
            field.map(text).unwrap_or_default()
        };
        ListRow {
            name: at(Some(self.recording)),
            local_start: at(self.start).parse().ok(),
            caller: at(self.caller),
            callee: at(self.callee),
            direction: at(self.direction),
            duration_s: at(self.duration).parse().ok(),
            size_bytes: None,
            call_id: at(self.call_id),
        }
    }

    /// Returns true if the row goes as far as the call's type, where there is that column.
    fn reaches_type(&self, record: CsvRecord<'_>) -> bool {
        let is_filled = |index| {
            record
                .field(index)
                .is_some_and(|field| !text(field).is_empty())
        };
        self.direction.is_none_or(is_filled)
    }

    /// Returns true if another column holds the name of a recording.
    fn has_slipped(&self, record: CsvRecord<'_>) -> bool {
        let mut fields = record.fields().enumerate();
        fields.any(|(index, field)| index != self.recording && names_a_recording(&text(field)))
    }
}

/// Returns true if a text begins as the vendor's names of recordings do, with 14 digits of a time.
/// Nothing else in a row does.
fn names_a_recording(text: &str) -> bool {
    let may_be = text.as_bytes().get(14) == Some(&b'-');
    let name = may_be.then(|| text.parse::<RecordingName>());
    name.is_some_and(|name| name.is_ok_and(|name| name.stamp().is_some()))
}

fn has_audio_ending(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".wav") || name.ends_with(".mp3")
}

/// Returns true for the beginning of an object or of a page, which a PBX that fails sends in place
/// of what comes next. A number in angle brackets begins neither.
fn is_interruption(record: CsvRecord<'_>) -> bool {
    let first = record.field(0).unwrap_or_default().trim_ascii_start();
    match first.split_first() {
        Some((b'{', rest)) => rest
            .trim_ascii_start()
            .first()
            .is_none_or(|byte| *byte == b'"'),
        Some((b'<', rest)) => rest
            .first()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || b"!?/".contains(byte)),
        _ => false,
    }
}

/// Returns true for a row in whose middle an object of the API begins.
fn holds_an_object(record: CsvRecord<'_>) -> bool {
    let begins = |text: &[u8]| text.starts_with(b"{\"status\"") || text.starts_with(b"{\"errno\"");
    let mut fields = record.fields();
    fields.any(|field| (0..field.len()).any(|at| field.get(at..).is_some_and(begins)))
}

/// A field without blanks around it, and without quotation marks that blanks before them have
/// hidden from the reader.
fn text(field: &[u8]) -> String {
    let field = String::from_utf8_lossy(field);
    let field = field.trim();
    let quoted = field
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(inner) => inner.replace("\"\"", "\"").trim().to_owned(),
        None => field.to_owned(),
    }
}

fn column_name(field: &[u8]) -> String {
    let field = field.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(field);
    text(field).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pbx::dialect::csv::CsvReader;

    fn rows(table: &[u8]) -> Result<Vec<TableRow>, TableError> {
        let (mut rows, mut columns) = (Vec::new(), None);
        let mut take = |record: CsvRecord<'_>| -> Result<(), TableError> {
            match &columns {
                None => columns = Some(TableColumns::of(record)?),
                Some(columns) => rows.push(columns.row(record)?),
            }
            Ok(())
        };
        let mut records = CsvReader::new();
        records.push(table, &mut take)?;
        records.finish(&mut take)?;
        Ok(rows)
    }

    const NAME: &str = "20170914093038-1505352615.274-1000-91000-Outbound.wav";

    fn expected() -> ListRow {
        ListRow {
            name: NAME.to_owned(),
            local_start: "2017-09-14T09:30:15".parse().ok(),
            caller: "1000".to_owned(),
            callee: "91000".to_owned(),
            direction: "Outbound".to_owned(),
            duration_s: Some(29),
            size_bytes: None,
            call_id: "1505352615.274".to_owned(),
        }
    }

    #[track_caller]
    fn check(table: &str) {
        let expected = vec![TableRow::Recorded(expected())];
        assert_eq!(rows(table.as_bytes()), Ok(expected), "{table}");
    }

    #[test]
    fn columns_are_found_by_name() {
        check(&format!(
            "callid,timestart,callfrom,callto,callduraction,talkduraction,srctrunkname,dsttrunkname,status,type,pincode,\
             recording,didnumber,sn\n1505352615.274,2017-09-14 09:30:15,1000,91000,31,29,,t,ANSWERED,Outbound,,{NAME},,36\n"
        ));
        check(&format!(
            "\u{feff}\"SN\", Recording ,\" TYPE \",CallTo,CallFrom,TimeStart,CallId,Talkduration\r\n\
             1,{NAME},Outbound, 91000 ,\"1000\",2017-09-14 09:30:15,1505352615.274, \"29\""
        ));
        check(&format!(
            "recording,type,callto,callfrom,timestart,callid,callduraction\n\
             {NAME},Outbound,91000,1000,2017-09-14 09:30:15,1505352615.274,29,,\n"
        ));
        let name = NAME.to_owned();
        let bare = ListRow {
            name,
            ..ListRow::default()
        };
        let table = format!("recording\n{NAME}\n");
        let bare = vec![TableRow::Recorded(bare)];
        assert_eq!(rows(table.as_bytes()), Ok(bare));
    }

    const HEAD: &str = "callid,timestart,callfrom,recording,did,sn\n";

    /// The row alone, and with others around it.
    #[track_caller]
    fn check_row(row: &str, expected: &TableRow) {
        let found = rows(format!("{HEAD}{row}\n").as_bytes());
        assert_eq!(found.as_deref(), Ok(&[expected.clone()][..]), "{row}");
    }

    #[track_caller]
    fn unreadable(row: &str, why: &str) {
        let found = rows(format!("{HEAD}{row}\n").as_bytes()).unwrap();
        let is_it = matches!(&*found, [TableRow::Unreadable(what)] if what.contains(why));
        assert!(is_it, "{row}: {found:?}");
    }

    #[test]
    fn an_odd_row_is_known_as_one() {
        let start = "1.1,2017-09-14 09:30:15";
        let good = format!("{start},1000,{NAME},,36");
        let row = ListRow {
            name: NAME.to_owned(),
            local_start: "2017-09-14T09:30:15".parse().ok(),
            caller: "1000".to_owned(),
            call_id: "1.1".to_owned(),
            ..ListRow::default()
        };
        let recorded = TableRow::Recorded(row);
        check_row(&good, &recorded);
        // Without its last, empty fields, or with more of them.
        check_row(&format!("{start},1000,{NAME}"), &recorded);
        unreadable(&format!("{start},1000,{}", &NAME[..40]), "fewer fields");
        check_row(&format!("{start},1000,{NAME},,36, ,"), &recorded);
        check_row(start, &TableRow::Unrecorded);
        check_row(&format!("{start},1000,,,36"), &TableRow::Unrecorded);
        check_row(",,,,,", &TableRow::Blank);
        check_row(" ", &TableRow::Blank);

        unreadable(&format!("{start},Doe, Jo<1>,{NAME},,36"), "more fields");
        // One comma more, and one empty field less.
        let slipped = "another column";
        unreadable(&format!("{start},Doe, Jo<1>,{NAME},36"), slipped);
        unreadable(&format!("{start},Doe, Jo<1>,{NAME},,"), slipped);
        unreadable(&format!("{start},{NAME},,36"), slipped);
        unreadable(&format!("{start},Doe, Jo<1>,{NAME}"), slipped);
        unreadable(&format!("{start},\"Doe<1>,{NAME},,36"), "quotation mark");
        unreadable(&format!("{start},\"Doe, Jo<1>,{NAME}"), "quotation mark");
        // Halves of a row.
        unreadable("1.1", "fewer fields");
        unreadable("1.1,2017-09-1", "fewer fields");
        unreadable(&format!("e<1>,{NAME},,36"), slipped);
        unreadable("Doe<1>,x,y,hello001", "fewer fields");
    }

    #[test]
    fn a_name_that_is_not_utf8_is_not_guessed() {
        let mut table = format!("{HEAD}1.1,2017-09-14 09:30:15,M").into_bytes();
        table.extend(b"\xFCller<1>,20170914093038-1505352615.274-M\xFCller-1-Inbound.wav,,36\n");
        let found = rows(&table).unwrap();
        assert!(matches!(&*found, [TableRow::Unreadable(why)] if why.contains("UTF-8")));
    }

    #[test]
    fn a_cut_or_interrupted_table_is_an_error() {
        assert_eq!(rows(b"callid,sn\n1,2\n"), Err(TableError::NoRecordings));
        let head = "callid,recording,sn\n";
        let table = |rest: &str| rows(format!("{head}{rest}").as_bytes());
        for row in ["1,a.wav", "1,a", "1"] {
            assert_eq!(table(row), Err(TableError::Cut), "{row}");
        }
        // It cannot be read, but nothing was cut off it.
        let long = table("1,Doe, Jo,a.wav,36").unwrap();
        assert!(matches!(&*long, [TableRow::Unreadable(_)]));
        for end in [
            "{\"status\":\"Failed\",\"errno\":\"20010\"}\n",
            " {\"status\":\"Failed\",\"errno\":\"20010\",\"more\":1}",
            "<html>\n<body>504, 504, 504</body>\n</html>\n",
        ] {
            let found = table(&format!("1,a.wav,36\n{end}"));
            assert_eq!(found, Err(TableError::Interrupted), "{end}");
        }
        let middle = "1,2017-09-14 09:30:15,10{\"status\":\"Failed\",\"errno\":\"20010\"}\n";
        let found = rows(format!("{HEAD}{middle}").as_bytes());
        assert_eq!(found, Err(TableError::Interrupted));
        // The second half of a name with a line break in it.
        let found = rows(format!("{HEAD}<0205550147>,{NAME},,36\n").as_bytes()).unwrap();
        assert!(matches!(&*found, [TableRow::Unreadable(_)]), "{found:?}");
        // A row that ends before the type of its call.
        let head = "callid,timestart,callfrom,type,recording,sn";
        let found = rows(format!("{head}\n1.1,2017-09-14 09:30:15,10\n").as_bytes()).unwrap();
        assert!(matches!(&*found, [TableRow::Unreadable(_)]), "{found:?}");
        let found = rows(format!("{head}\n1.1,2017-09-14 09:30:15,10,Internal\n").as_bytes());
        assert_eq!(found, Ok(vec![TableRow::Unrecorded]));
        assert_eq!(table(""), Ok(Vec::new()));
        // Not a number and not a time are nothing.
        let odd = rows(b"recording,timestart,talkduraction\na.wav,yesterday,-1\n").unwrap();
        let [TableRow::Recorded(row)] = &*odd else {
            panic!("{odd:?}");
        };
        assert_eq!((row.local_start, row.duration_s), (None, None));
    }
}
