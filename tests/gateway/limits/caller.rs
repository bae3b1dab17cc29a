//! A caller that the test controls step by step: it can send without waiting for the answer, and
//! leave at any time.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Gateway, PATIENCE, jwt};

/// One connection to the gateway. Dropping it closes it.
pub(super) struct Caller(TcpStream);

impl Caller {
    pub(super) async fn asks(gateway: &Gateway, target: &str) -> Self {
        let mut caller = Self(TcpStream::connect(gateway.addr()).await.unwrap());
        caller.ask(target).await;
        caller
    }

    pub(super) async fn ask(&mut self, target: &str) {
        let token = jwt("bob");
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// Reads until the answer contains `part`.
    pub(super) async fn read_until(&mut self, part: &str) -> String {
        let mut answer = Vec::new();
        while !answer
            .windows(part.len())
            .any(|some| some == part.as_bytes())
        {
            let read = timeout(PATIENCE, self.0.read_buf(&mut answer)).await;
            assert!(read.expect("a hang").unwrap() > 0, "an early end");
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Whether no byte has arrived.
    pub(super) fn has_nothing(&self) -> bool {
        let nothing = self.0.try_read(&mut [0]).map_err(|error| error.kind());
        nothing == Err(std::io::ErrorKind::WouldBlock)
    }

    /// Breaks the connection.
    pub(super) fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }

    /// Closes the connection, and returns the remaining bytes once the gateway has dropped the
    /// request.
    pub(super) async fn leave(mut self) -> Vec<u8> {
        self.0.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // A gateway that closes with bytes unsent resets the connection; that is an end, too.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest))
            .await
            .expect("a hang");
        rest
    }
}
