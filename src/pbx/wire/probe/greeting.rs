//! The answer to a request in plain HTTP, and what it tells about the server.
//!
//! Knows the beginnings of HTTP and of TLS. Pure.
//!
//! Sources: RFC 9112 §4 (status line); RFC 8446 §5.1 (a record begins with its type, 21 for alerts
//! and 22 for the handshake, and the version 3.x). The redirect is that of "Redirect from port 80"
//! (Yeastar, "S-Series User Guide", "Service"). nginx tells in a page with status 400 that its port
//! speaks TLS.

use super::ProbeError;

/// Returns true if the bytes tell enough: the whole head, and for status 400 the page, too.
pub(super) fn is_enough(answer: &[u8]) -> bool {
    let ended = answer.windows(4).any(|window| window == b"\r\n\r\n");
    ended && !answer.starts_with(b"HTTP/1.1 400")
}

pub(super) fn judge(answer: &[u8]) -> Result<(), ProbeError> {
    match answer {
        [] => return Err(ProbeError::Dropped),
        [21 | 22, 3, ..] => return Err(ProbeError::SpeaksTls),
        _ => {}
    }
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let status = text.strip_prefix("http/1.").and_then(|rest| rest.get(2..5));
    let status: Option<u16> = status.and_then(|status| status.parse().ok());
    match status {
        None => Err(ProbeError::NotHttp),
        Some(400) if text.contains("https") => Err(ProbeError::SpeaksTls),
        Some(status @ 300..=399) if leads_to_https(&text) => Err(ProbeError::Redirects(status)),
        Some(_) => Ok(()),
    }
}

fn leads_to_https(head: &str) -> bool {
    let location = head
        .lines()
        .find_map(|line| line.strip_prefix("location:"))
        .unwrap_or_default();
    location.trim_start().starts_with("https:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &[u8], expected: &str) {
        let judged = format!("{:?}", judge(answer));
        assert_eq!(judged, expected, "{}", String::from_utf8_lossy(answer));
    }

    #[test]
    fn the_first_bytes_tell_the_kind_of_peer() {
        check(b"HTTP/1.1 200 OK\r\n\r\n", "Ok(())");
        check(b"HTTP/1.0 404 Not Found\r\n\r\n", "Ok(())");
        check(b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", "Ok(())");
        check(
            b"HTTP/1.1 302 Found\r\nLOCATION: HTTPS://192.0.2.1:8088/\r\n\r\n",
            "Err(Redirects(302))",
        );
        check(
            b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port",
            "Err(SpeaksTls)",
        );
        check(b"HTTP/1.1 400 Bad Request\r\n\r\n", "Ok(())");
        check(b"\x15\x03\x03\x00\x02\x02\x16", "Err(SpeaksTls)");
        check(b"", "Err(Dropped)");
        check(b"220 mail.example.com ESMTP\r\n", "Err(NotHttp)");
        check(b"HTTP/1.", "Err(NotHttp)");
        check(b"HTTP/1.1 2\xFF0 OK", "Err(NotHttp)");
    }
}
