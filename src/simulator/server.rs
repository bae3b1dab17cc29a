//! The listener: it runs one task for each connection.
//!
//! Knows how to accept connections, handshakes and limits. Does not know requests.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::HandshakeKind;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::exchange::{Continuation, exchange, refuse};
use super::pbx::PbxState;
use super::request::{self, ReadOutcome};
use super::wire::{ConnectionEnd, Wire};

/// The bound on open connections; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 20_000;
/// The time for a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);
/// The time for one request to arrive. Boa's limit between two requests is of this order.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// The pause after a failed accept, for example without free file descriptors.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);

/// Accepts connections until the future is dropped. All connections end with it.
pub(super) async fn run(listener: TcpListener, pbx: Arc<PbxState>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, peer)) => {
                    let peer = peer.ip().to_canonical();
                    connections.spawn(serve(stream, peer, Arc::clone(&pbx), tls.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "simulated PBX cannot accept a connection");
                    tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, peer: IpAddr, pbx: Arc<PbxState>, tls: Option<TlsAcceptor>) {
    pbx.ledger.note(|seen| seen.connections += 1);
    if !pbx.admits(peer) {
        pbx.ledger.note(|seen| seen.connections_dropped += 1);
        return;
    }
    let Some(mut wire) = open(stream, &pbx, tls).await else {
        pbx.ledger.note(|seen| seen.handshakes_failed += 1);
        return;
    };
    match converse(&pbx, &mut wire, peer).await {
        Ok(connection_end) => wire.end(connection_end).await,
        Err(error) => tracing::debug!(%error, "connection to the simulated PBX broke"),
    }
}

async fn open(stream: TcpStream, pbx: &PbxState, tls: Option<TlsAcceptor>) -> Option<Wire> {
    stream.set_nodelay(true).ok()?;
    let Some(acceptor) = tls else {
        return Some(Wire::Plain(stream));
    };
    let stream = timeout(HANDSHAKE_LIMIT, acceptor.accept(stream))
        .await
        .ok()?
        .ok()?;
    if stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed) {
        pbx.ledger.note(|seen| seen.tls_resumed += 1);
    }
    Some(Wire::Tls(Box::new(stream)))
}

/// Answers the requests of one connection until one side ends it.
async fn converse(pbx: &PbxState, wire: &mut Wire, peer: IpAddr) -> io::Result<ConnectionEnd> {
    let mut buffer = BytesMut::with_capacity(4 * 1024);
    loop {
        let Ok(incoming) = timeout(REQUEST_LIMIT, request::read(wire, &mut buffer)).await else {
            return Ok(ConnectionEnd::Close);
        };
        match incoming? {
            ReadOutcome::End => return Ok(ConnectionEnd::Close),
            ReadOutcome::Malformed => {
                refuse(pbx, wire).await?;
                return Ok(ConnectionEnd::Close);
            }
            ReadOutcome::Request(request) => {
                if let Continuation::End(connection_end) =
                    exchange(pbx, wire, &request, peer).await?
                {
                    return Ok(connection_end);
                }
            }
        }
    }
}
