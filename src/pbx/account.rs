//! Our account on a PBX: its token, its logins, and the pauses between them.
//!
//! Knows what makes two accounts the same. Does not know recordings.

pub(in crate::pbx) mod account_api;
pub(in crate::pbx) mod login_history;
pub(in crate::pbx) mod login_report;
pub(in crate::pbx) mod pbx_token;
mod shared_token;
pub(in crate::pbx) mod token_keeper;
pub(in crate::pbx) mod token_source;

use std::path::Path;
use std::sync::Arc;

use super::settings::{PbxPassword, PbxSettings};
use crate::fleet::Fleet;
use crate::fleet::account::SharedAccount;
use login_history::LoginHistory;

/// Returns true if a token of the one is a token of the other. How the PBX is reached and how the
/// token is used may differ.
pub(in crate::pbx) fn is_same_account(old: &PbxSettings, new: &PbxSettings) -> bool {
    old.api == new.api
        && old.url == new.url
        && old.account.username == new.account.username
        && old.account.password == new.account.password
}

/// The account as the instances of a fleet share it. The password is left out: an instance that has
/// another one must find the failures that the PBX counts.
pub(in crate::pbx) fn shared_account(
    config: &PbxSettings,
    fleet: &Arc<Fleet>,
) -> Arc<SharedAccount> {
    let username = config.account.username.expose();
    let description = [config.url.as_str().as_bytes(), b"\0", username].concat();
    SharedAccount::new(fleet, &description)
}

/// Opens the history of the logins with the configured credentials.
///
/// # Errors
/// A sentence for an operator, where the state folder cannot be used.
pub(in crate::pbx) fn open_history(
    config: &PbxSettings,
    state_dir: Option<&Path>,
) -> Result<LoginHistory, String> {
    let account = &config.account;
    let (PbxPassword::Clear(password) | PbxPassword::Md5(password)) = &account.password;
    let credentials = [
        config.url.as_str().as_bytes(),
        account.username.expose(),
        password.expose(),
    ];
    LoginHistory::open(state_dir, &config.name, &credentials, account.login_retry).map_err(
        |error| match state_dir {
            Some(folder) => state_dir_problem(folder, &error),
            None => error.to_string(),
        },
    )
}

fn state_dir_problem(folder: &Path, error: &std::io::Error) -> String {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    format!(
        "state_dir {}: {error}; it must be a folder that the gateway's user owns",
        folder.display()
    )
}
