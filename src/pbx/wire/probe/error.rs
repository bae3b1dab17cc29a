//! The faults on the way to a PBX before a login, each with advice for an operator.
//!
//! Knows the keys of the configuration and the PBX's menus. Holds no address.
//!
//! Source for the menus: Yeastar, "S-Series User Guide", "Service" (protocol, port, redirect, Web
//! Access Control).

use thiserror::Error;

use crate::tls::client::TlsError;

/// The reason why a PBX cannot be reached.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    #[error("the name in pbx.url cannot be resolved: {0}")]
    NoName(String),
    #[error("nobody says which address the name in pbx.url has, within pbx.connect_timeout_ms")]
    NameSilent,
    #[error("the name in pbx.url has no address that pbx.bind_address can reach")]
    NoAddress,
    #[error("this machine does not have the address pbx.bind_address")]
    NoOwnAddress,
    #[error("nothing listens at this address and port")]
    Refused,
    #[error("nothing answers at this address within pbx.connect_timeout_ms")]
    Silent,
    #[error("cannot connect: {0}")]
    Unreachable(String),
    #[error("the PBX takes the connection and closes it without a word")]
    Dropped,
    #[error("the PBX takes the connection, but does not answer within pbx.connect_timeout_ms")]
    TlsSilent,
    #[error("{0}")]
    Tls(TlsError),
    #[error("the PBX takes the connection, but does not answer within pbx.answer_timeout_ms")]
    HttpSilent,
    #[error("the server does not speak HTTP")]
    NotHttp,
    #[error("pbx.url says http, and this port speaks TLS")]
    SpeaksTls,
    #[error(
        "every request is answered with a redirect to https (status {0}), as by the PBX's port 80"
    )]
    Redirects(u16),
}

impl ProbeError {
    /// Advice for an operator.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::NoName(_) | Self::NameSilent => {
                "correct pbx.url, add the name to the DNS or to /etc/hosts, or use the PBX's IP address"
            }
            Self::NoAddress => "make pbx.bind_address of the same kind, IPv4 or IPv6, as the PBX's",
            Self::NoOwnAddress => "correct pbx.bind_address, or leave it out",
            Self::Refused => {
                "correct pbx.url: the port is that of the PBX's web interface, usually 8088 (on an S-Series Settings > \
                 System > Security > Service > Port), 443 for hosted ones"
            }
            Self::Silent | Self::Unreachable(_) => {
                "check pbx.url, the network between, and whether the PBX is on; its firewall or Web Access Control (on an \
                 S-Series Settings > System > Security > Service) may swallow connections from our address"
            }
            Self::Dropped => {
                "allow our address on the PBX: its Web Access Control (on an S-Series Settings > System > Security > \
                 Service) or its firewall refuses it"
            }
            Self::TlsSilent | Self::HttpSilent => {
                "look at the PBX's load, or restart it; where another program listens at this port, correct pbx.url"
            }
            Self::Tls(error) => error.fault.advice(),
            Self::NotHttp => {
                "correct pbx.url: something else than a PBX's web interface listens at this port"
            }
            Self::SpeaksTls => "write https in pbx.url, and remove pbx.plain_http",
            Self::Redirects(_) => {
                "use the address of the web interface itself, usually https and port 8088 (on an S-Series Settings > System \
                 > Security > Service > Protocol and Port), and remove pbx.plain_http"
            }
        }
    }
}
