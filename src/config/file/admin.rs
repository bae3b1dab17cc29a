//! `[admin]`: the listener for checks and for the operator.

use std::net::SocketAddr;

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::secret::Secret;

/// The shortest bearer token of the operator, in bytes: it must be hard to guess.
const MIN_TOKEN_BYTES: usize = 32;

/// The listener for checks and for the operator.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Its address; loopback unless the operator decides otherwise.
    pub listen: SocketAddr,
    /// The bearer token of its write calls; `None` allows none.
    pub token: Option<Secret>,
}

rows! {
    /// The listener for load balancers, monitors and the operator.
    mod keys = "[admin]";

    /// Address of /livez, /readyz and the operator's calls. Keep it from the public.
    listen: Address = address(8081);

    /// A file with the bearer token of the calls that change something: at least 32 bytes of ASCII
    /// without spaces. These calls delete recordings from memory and revoke credentials.
    token_file: Free<Secret> =
        secret("secrets/admin-token").absent("none, and there are no such calls");
}

pub(super) fn read_admin(section: &mut Section<'_>) -> AdminSettings {
    AdminSettings {
        listen: keys::listen.get(section),
        token: read_token(section),
    }
}

/// The bearer token of write calls, which must fit into a header.
fn read_token(section: &mut Section<'_>) -> Option<Secret> {
    let token = keys::token_file.given(section)?;
    if token.expose().len() < MIN_TOKEN_BYTES {
        section.problem(keys::token_file.name, "shorter than 32 bytes");
    }
    if !token.expose().iter().all(u8::is_ascii_graphic) {
        section.problem(
            keys::token_file.name,
            "only letters, digits and signs of ASCII, on one line, can be sent as a bearer token",
        );
    }
    Some(token)
}
