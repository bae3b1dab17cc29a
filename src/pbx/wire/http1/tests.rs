//! Heads and bodies in every form, cut anywhere.

use proptest::prelude::*;

use super::*;

/// The status of an answer, its body, and true if the connection lasts.
type Told = (u16, Body, bool);

fn read(text: &str) -> Result<Option<Told>, Malformed> {
    let mut bytes = BytesMut::from(text);
    let head = read_head(&mut bytes)?;
    Ok(head.map(|head| (head.status.as_u16(), head.body, head.is_lasting)))
}

#[track_caller]
fn check(text: &str, expected: Result<Option<Told>, Malformed>) {
    let head = text.replace('\n', "\r\n");
    assert_eq!(read(&head), expected, "{text}");
}

#[test]
fn the_head_tells_where_the_body_ends() {
    let chunked = || Body::Chunked(Chunk::Size);
    let ok = |body, lasts| Ok(Some((200, body, lasts)));
    check(
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        ok(Body::Length(5), true),
    );
    check(
        "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        ok(Body::Length(0), true),
    );
    check(
        "HTTP/1.1 200\nContent-Length: 5, 5\nContent-Length: 5\n\n",
        ok(Body::Length(5), true),
    );
    check(
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
        ok(chunked(), true),
    );
    check(
        "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, Chunked\n\n",
        ok(chunked(), true),
    );
    check(
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked, gzip\n\n",
        ok(Body::Close, false),
    );
    check(
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5\n\n",
        ok(chunked(), false),
    );
    check("HTTP/1.1 200 OK\n\n", ok(Body::Close, false));
    check(
        "HTTP/1.1 200 OK\nContent-Length: 5\nConnection: x, Close\n\n",
        ok(Body::Length(5), false),
    );
    check(
        "HTTP/1.0 200 OK\nContent-Length: 5\n\n",
        ok(Body::Length(5), false),
    );
    check(
        "HTTP/1.0 200 OK\nContent-Length: 5\nConnection: keep-alive\n\n",
        ok(Body::Length(5), true),
    );
    check(
        "HTTP/1.1 200 OK\nContent-Length: 5\nConnection: close\nConnection: keep-alive\n\n",
        ok(Body::Length(5), false),
    );
    check(
        "HTTP/1.1 204 No Content\nContent-Length: 5\n\n",
        Ok(Some((204, Body::Length(0), true))),
    );
    check(
        "HTTP/1.1 304 Not Modified\n\n",
        Ok(Some((304, Body::Length(0), true))),
    );
    check(
        "HTTP/1.1 101 Switching Protocols\n\n",
        Ok(Some((101, Body::Length(0), false))),
    );
    check(
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nContent-Length: 9\n\nHTTP/1.1 404 No\nContent-Length: 1\n\n",
        Ok(Some((404, Body::Length(1), true))),
    );
}

#[test]
fn what_is_no_head_is_refused() {
    check(
        "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n",
        Err(Malformed::Length),
    );
    for length in [
        "",
        "-1",
        "+1",
        "5 5",
        "0x5",
        "5,6",
        "5,",
        "18446744073709551616",
    ] {
        let head = format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n");
        check(&head, Err(Malformed::Length));
    }
    check(
        "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n",
        Err(Malformed::Coding),
    );
    for other in [
        "<html>",
        "HTTP/2 200 OK\n\n",
        "HTTP/1.1 20 OK\n\n",
        "HTTP/1.1 200 OK\nA B: c\n\n",
        "\u{16}\u{3}\u{1}",
    ] {
        check(other, Err(Malformed::Head));
    }
    check("HTTP/1.1 200 OK\nA: b\n", Ok(None));
    check("", Ok(None));
    let long = format!("HTTP/1.1 200 OK\nA: {}", "b".repeat(MAX_HEAD_BYTES));
    check(&long, Err(Malformed::HeadTooLong));
    check(&format!("{long}\n\n"), Err(Malformed::HeadTooLong));
    let many = "A: b\n".repeat(MAX_FIELDS + 1);
    check(&format!("HTTP/1.1 200 OK\n{many}\n"), Err(Malformed::Head));
}

#[test]
fn only_the_range_is_kept_of_the_fields() {
    let head = "HTTP/1.1 206 Part\r\nContent-Range: bytes 1-2/3\r\nSet-Cookie: a\r\ncontent-range: x\r\n\r\n";
    let head = read_head(&mut BytesMut::from(head)).unwrap().unwrap();
    let ranges: Vec<_> = head
        .headers
        .iter()
        .map(|(_, value)| value.as_bytes())
        .collect();
    assert_eq!(ranges, [&b"bytes 1-2/3"[..], b"x"]);
}

/// Takes all data out of a body that comes in pieces.
fn taken(body: Body, pieces: &[&[u8]]) -> Result<(Vec<u8>, Body, Vec<u8>), Malformed> {
    let (mut body, mut bytes, mut data) = (body, BytesMut::new(), Vec::new());
    for piece in pieces {
        bytes.extend_from_slice(piece);
        while let Some(part) = body.take(&mut bytes)? {
            assert!(!part.is_empty());
            data.extend_from_slice(&part);
        }
    }
    Ok((data, body, bytes.to_vec()))
}

#[track_caller]
fn check_chunks(text: &str, expected: Option<&str>) {
    let whole = taken(Body::Chunked(Chunk::Size), &[text.as_bytes()]);
    let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    let cut = taken(Body::Chunked(Chunk::Size), &single);
    for result in [whole, cut] {
        match (result, expected) {
            (Ok((data, body, rest)), Some(expected)) => {
                assert_eq!(
                    (&data[..], body.has_ended()),
                    (expected.as_bytes(), true),
                    "{text:?}"
                );
                assert!(rest.is_empty(), "{text:?}");
            }
            (result, _) => assert!(result.is_err() && expected.is_none(), "{text:?}"),
        }
    }
}

#[test]
fn chunks_are_taken_apart() {
    check_chunks("0\r\n\r\n", Some(""));
    check_chunks("3\r\nabc\r\n0\r\n\r\n", Some("abc"));
    check_chunks(
        "3;a=\"b\"\r\nabc\r\n000A  \r\n0123456789\r\n0;x\r\nA: b\r\n\r\n",
        Some("abc0123456789"),
    );
    for wrong in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "3\nabc\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n",
        "10000000000000000\r\n",
        "3 3\r\n",
        "3\r;\r\n",
    ] {
        check_chunks(wrong, None);
    }
    let long = "x".repeat(MAX_CHUNK_OVERHEAD);
    check_chunks(&format!("3;{long}\r\n"), None);
    check_chunks(
        &format!("0\r\n{}", "A: b\r\n".repeat(MAX_CHUNK_OVERHEAD / 6 + 1)),
        None,
    );
}

proptest! {
    #[test]
    fn a_body_is_the_same_wherever_it_is_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        is_chunked in any::<bool>(),
        behind in prop::collection::vec(any::<u8>(), 0..5),
        cuts in prop::collection::vec(1_usize..30, 0..40),
    ) {
        let expected = chunks.concat();
        let (body, mut text) = match is_chunked {
            false => (Body::Length(expected.len() as u64), expected.clone()),
            true => {
                let mut text = Vec::new();
                for chunk in &chunks {
                    text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    text.extend_from_slice(chunk);
                    text.extend_from_slice(b"\r\n");
                }
                text.extend_from_slice(b"0\r\n\r\n");
                (Body::Chunked(Chunk::Size), text)
            }
        };
        text.extend_from_slice(&behind);
        let (mut rest, mut pieces) = (&text[..], Vec::new());
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = left;
        }
        pieces.push(rest);
        let (data, body, left) = taken(body, &pieces).unwrap();
        prop_assert!(body.has_ended());
        prop_assert_eq!(data, expected);
        prop_assert_eq!(left, behind);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_head(&mut BytesMut::from(&bytes[..]));
        let mut with_start = BytesMut::from("HTTP/1.1 200 OK\r\n");
        with_start.extend_from_slice(&bytes);
        let _ = read_head(&mut with_start);
        let _ = taken(Body::Chunked(Chunk::Size), &[&bytes]);
    }
}
