//! Our account on a PBX, as far as it outlives a configuration: its token, and the memory of its logins.
//!
//! Knows what makes two accounts the same. Does not know tokens.

use std::path::Path;

use super::logins::LoginHistory;
use crate::pbx::settings::PbxPassword;
use crate::pbx::settings::PbxSettings;

/// Whether a token of the one is a token of the other. How the PBX is reached and what is done with the token may differ.
pub(super) fn is_same_account(old: &PbxSettings, new: &PbxSettings) -> bool {
    old.api == new.api
        && old.url == new.url
        && old.account.username == new.account.username
        && old.account.password == new.account.password
}

pub(super) fn open_history(
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
