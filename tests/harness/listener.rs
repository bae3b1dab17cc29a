//! A caller who listens as people do: over a narrow connection and at its own pace. It compares the
//! bytes with those of the PBX.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::net::{TcpSocket, TcpStream};

use super::{Answer, Call, jwt};

/// A transfer under way.
pub(crate) struct Listener {
    answer: Answer,
    recording: Bytes,
    /// The number of bytes taken so far.
    place: usize,
}

/// A connection whose receive buffer is small, so that a stalled reader has an effect soon.
pub(crate) async fn narrow(addr: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(addr).await.unwrap()
}

impl Listener {
    /// Requests a recording, of which the PBX has the bytes `recording`. Takes nothing of the body
    /// yet.
    pub(crate) async fn begin(addr: SocketAddr, who: &str, name: &str, recording: &Bytes) -> Self {
        Self::ask(addr, who, name, recording, None).await
    }

    /// As [`Listener::begin`], but from a place on, where a player continues.
    pub(crate) async fn begin_at(
        addr: SocketAddr,
        who: &str,
        name: &str,
        recording: &Bytes,
        place: usize,
    ) -> Self {
        Self::ask(addr, who, name, recording, Some(place)).await
    }

    async fn ask(
        addr: SocketAddr,
        who: &str,
        name: &str,
        recording: &Bytes,
        place: Option<usize>,
    ) -> Self {
        let mut call =
            Call::new(addr, Method::GET, &format!("/recordings/{name}")).bearer(&jwt(who));
        let mut expected = StatusCode::OK;
        if let Some(place) = place {
            call = call.header("range", &format!("bytes={place}-"));
            expected = StatusCode::PARTIAL_CONTENT;
        }
        let answer = call.send_on(narrow(addr).await).await;
        assert_eq!(answer.status(), expected, "{name} for {who}");
        Self {
            answer,
            recording: recording.clone(),
            place: place.unwrap_or(0),
        }
    }

    /// The number of bytes taken so far.
    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Takes the next piece; `Ok(false)` at the proper end, which must be the end of the recording.
    pub(crate) async fn next(&mut self) -> Result<bool, hyper::Error> {
        let Some(piece) = self.answer.chunk().await else {
            assert_eq!(self.place, self.recording.len(), "whole, and too short");
            return Ok(false);
        };
        let piece = piece?;
        assert!(
            self.recording[self.place..].starts_with(&piece),
            "other bytes behind {}",
            self.place
        );
        self.place += piece.len();
        Ok(true)
    }

    /// Takes the remaining bytes.
    pub(crate) async fn finish(mut self) {
        loop {
            match self.next().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => panic!("{error} after {} bytes", self.place),
            }
        }
    }

    /// Takes the remaining bytes of a transfer that breaks off, and returns the place of the break.
    pub(crate) async fn until_broken(mut self) -> usize {
        while let Ok(more) = self.next().await {
            assert!(more, "it came to its end");
        }
        self.place
    }
}
