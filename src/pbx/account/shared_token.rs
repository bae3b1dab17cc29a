//! The token of a PBX as the instances of a fleet hand it on.
//!
//! Knows the form of the value. Does not know where it lies, or who may change it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::pbx_token::PbxToken;
use crate::fleet::account::AccountState;
use crate::pbx::dialect::TokenLife;
use crate::secret::Secret;

/// A token with the text that it can be exchanged for.
#[derive(Serialize, Deserialize)]
struct SharedToken {
    /// The fencing number of the lease under which it was got.
    fence: u64,
    access: String,
    refresh: Option<String>,
    life_ms: u64,
    /// Its life begins anew with each use.
    slides: bool,
}

/// A token of another instance, or of this one before it was lost.
pub(super) struct FleetToken {
    pub(super) token: PbxToken,
    pub(super) refresh: Option<Secret>,
}

/// Writes a token for the other instances; empty for a token that is no text.
pub(super) fn write(token: &PbxToken, fence: u64, refresh: Option<&Secret>) -> Secret {
    let (life, slides) = match token.life() {
        TokenLife::Sliding(life) => (life, true),
        TokenLife::Fixed(life) => (life, false),
    };
    let Some(access) = token.text().expose_str() else {
        return Secret::new("");
    };
    let mut value = SharedToken {
        fence,
        access: access.to_owned(),
        refresh: refresh.and_then(Secret::expose_str).map(str::to_owned),
        life_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
        slides,
    };
    // A structure of numbers and texts is always JSON.
    let written = serde_json::to_vec(&value).unwrap_or_default();
    value.access.zeroize();
    value.refresh.zeroize();
    Secret::new(written)
}

/// Reads the token of an account; `None` where there is none, or none that can be read.
pub(super) fn read(state: &AccountState) -> Option<FleetToken> {
    let value: SharedToken = serde_json::from_slice(state.token.as_ref()?.expose()).ok()?;
    let life = Duration::from_millis(value.life_ms);
    let life = match value.slides {
        true => TokenLife::Sliding(life),
        false => TokenLife::Fixed(life),
    };
    let ages = (state.age, state.unused_for);
    let mut token = PbxToken::aged(Secret::new(value.access), life, value.fence, ages);
    token.is_of_another = true;
    Some(FleetToken {
        token,
        refresh: value.refresh.map(Secret::new),
    })
}
