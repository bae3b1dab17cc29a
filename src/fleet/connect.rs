//! A connection to the store.
//!
//! Knows TCP, TLS and the credentials of the store. Does not know what is asked there.
//!
//! The store is Valkey or Redis, 5.0 or later: from then on a script may read the clock and write.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;

use super::settings::FleetSettings;
use crate::tls::client;

const DEFAULT_PORT: u16 = 6379;
/// The limit on the way to a ready connection: address, TCP, TLS, login.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// The reason why there is no connection.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    #[error("it does not answer in time")]
    Timeout,
    /// The texts of a store may repeat what was sent, so only the kind is kept.
    #[error("it does not take the connection: {0}")]
    Refused(String),
}

impl From<RedisError> for ConnectError {
    fn from(error: RedisError) -> Self {
        Self::Refused(error.category().to_owned())
    }
}

/// A connection. Its task ends with it, also while an answer is still to come.
pub(super) struct StoreConnection {
    requests: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

impl StoreConnection {
    /// A handle for one request.
    pub(super) fn requests(&self) -> MultiplexedConnection {
        self.requests.clone()
    }
}

/// The address of a store, and the credentials there.
pub(super) struct StoreAddress {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    login: RedisConnectionInfo,
}

impl StoreAddress {
    /// # Errors
    /// A sentence for an operator.
    pub(super) fn new(settings: &FleetSettings) -> Result<Self, String> {
        let url = &settings.url;
        let host = url.host_str().ok_or("shared.url has no host")?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tls = match &settings.trust {
            None => None,
            Some(trust) => {
                let config = client::client_config(trust)?;
                let name = ServerName::try_from(host.clone());
                let name = name.map_err(|error| format!("shared.url: {error}"))?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
        };
        let database = url.path().trim_start_matches('/');
        let database = match database {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| "shared.url: the path is not a number")?,
        };
        let mut login = RedisConnectionInfo::default().set_db(database);
        if let Some(username) = &settings.username {
            login = login.set_username(username);
        }
        if let Some(password) = &settings.password {
            let password = password.expose_str();
            login = login.set_password(password.ok_or("shared.password_file: not UTF-8")?);
        }
        Ok(Self {
            host,
            port: url.port().unwrap_or(DEFAULT_PORT),
            tls,
            login: login.set_skip_set_lib_name(),
        })
    }

    /// Connects and logs in. A task of its own reads and writes.
    ///
    /// # Cancel safety
    /// Safe: the connection is closed.
    pub(super) async fn connect(&self) -> Result<StoreConnection, ConnectError> {
        let connected = timeout(CONNECT_LIMIT, self.connect_slowly()).await;
        connected.map_err(|_| ConnectError::Timeout)?
    }

    async fn connect_slowly(&self) -> Result<StoreConnection, ConnectError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        let stream = match &self.tls {
            None => Either::Left(tcp),
            Some((tls, name)) => Either::Right(tls.connect(name.clone(), tcp).await?),
        };
        // The limit on an answer is the store's own: it has to end the connection, too.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (requests, driver) =
            MultiplexedConnection::new_with_config(&self.login, stream, config).await?;
        Ok(StoreConnection {
            requests,
            _driver: AbortOnDropHandle::new(tokio::spawn(driver)),
        })
    }
}
