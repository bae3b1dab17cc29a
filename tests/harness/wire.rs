//! A connection between gateway and PBX that the test controls.
//!
//! A forwarder of TCP connections on loopback. The n-th connection leaves from the n-th address of
//! a list, as behind a NAT with several addresses. The bytes from the PBX are recorded. The test
//! can hold new connections, and can send bytes to the PBX that the gateway did not send.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use wavegate::simulator::Simulator;

/// A running forwarder. Dropping it ends it and its connections.
pub(crate) struct Wire {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    pbx: SocketAddr,
    sources: Vec<Ipv4Addr>,
    /// All bytes that came from the PBX, on all connections.
    said: Mutex<Vec<u8>>,
    connections: watch::Sender<usize>,
    held: watch::Sender<bool>,
    /// Further bytes that the forwarder sends to the PBX.
    besides: watch::Sender<Vec<u8>>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    /// A wire whose connections leave from 127.0.0.1.
    pub(crate) async fn to(pbx: &Simulator) -> Self {
        Self::behind_nat(pbx, &[]).await
    }

    /// A wire whose n-th connection leaves from the n-th of these addresses, and all further ones
    /// from the last.
    pub(crate) async fn behind_nat(pbx: &Simulator, sources: &[Ipv4Addr]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = pbx.url().split_once(':').unwrap().0.to_owned();
        let shared = Arc::new(Shared {
            pbx: pbx.addr(),
            sources: sources.to_vec(),
            said: Mutex::default(),
            connections: watch::Sender::new(0),
            held: watch::Sender::new(false),
            besides: watch::Sender::default(),
        });
        Self {
            url: format!("{scheme}://127.0.0.1:{port}"),
            task: tokio::spawn(accept(listener, Arc::clone(&shared))),
            shared,
        }
    }

    /// The address that the gateway uses for the PBX.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// All bytes that the PBX has sent.
    pub(crate) fn said(&self) -> Vec<u8> {
        self.shared.said.lock().unwrap().clone()
    }

    /// Accepts new connections, but forwards nothing on them for now.
    pub(crate) fn hold(&self) {
        self.shared.held.send_replace(true);
    }

    /// Forwards all connections.
    pub(crate) fn release(&self) {
        self.shared.held.send_replace(false);
    }

    /// Sends bytes to the PBX on every open connection.
    pub(crate) fn say(&self, bytes: &[u8]) {
        self.shared.besides.send_replace(bytes.to_vec());
    }

    /// Waits until this many connections have come.
    pub(crate) async fn until_connections(&self, count: usize) {
        let mut connections = self.shared.connections.subscribe();
        connections.wait_for(|seen| *seen >= count).await.unwrap();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut running = JoinSet::new();
    for number in 0.. {
        let (gateway, _) = listener.accept().await.unwrap();
        let sources = &shared.sources;
        let source = sources.get(number).or(sources.last()).copied();
        running.spawn(forward(gateway, source, Arc::clone(&shared)));
        shared.connections.send_replace(number + 1);
        while running.try_join_next().is_some() {}
    }
}

/// Forwards one connection; it ends when either side breaks it.
async fn forward(gateway: TcpStream, source: Option<Ipv4Addr>, shared: Arc<Shared>) -> Option<()> {
    shared.held.subscribe().wait_for(|held| !held).await.ok()?;
    let socket = TcpSocket::new_v4().ok()?;
    let source = source.unwrap_or(Ipv4Addr::LOCALHOST);
    socket.bind((source, 0).into()).ok()?;
    let pbx = socket.connect(shared.pbx).await.ok()?;
    let (mut from_gateway, mut to_gateway) = gateway.into_split();
    let (mut from_pbx, mut to_pbx) = pbx.into_split();
    let mut besides = shared.besides.subscribe();
    let asking = async {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let bytes = tokio::select! {
                count = from_gateway.read(&mut buffer) => match count.ok()? {
                    0 => break,
                    count => buffer[..count].to_vec(),
                },
                said = besides.changed() => {
                    said.ok()?;
                    besides.borrow_and_update().clone()
                }
            };
            to_pbx.write_all(&bytes).await.ok()?;
        }
        to_pbx.shutdown().await.ok()
    };
    let answering = async {
        let mut buffer = vec![0; 16 * 1024];
        while let count @ 1.. = from_pbx.read(&mut buffer).await.ok()? {
            shared
                .said
                .lock()
                .unwrap()
                .extend_from_slice(&buffer[..count]);
            to_gateway.write_all(&buffer[..count]).await.ok()?;
        }
        to_gateway.shutdown().await.ok()
    };
    // A side that breaks ends both. A side that ends in an orderly way lets the other finish.
    let (asking, answering) = (async { asking.await.ok_or(()) }, async {
        answering.await.ok_or(())
    });
    tokio::try_join!(asking, answering).ok().map(drop)
}
