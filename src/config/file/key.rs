//! `[[auth.issuer.key]]` and `[[links.key]]`: a key that verifies tokens.

use std::path::PathBuf;

use crate::auth::Algorithm;
use crate::config::kinds::*;
use crate::config::rows::{Setting, rows};
use crate::config::section::Section;
use crate::secret::Secret;

/// A key that verifies tokens.
#[derive(Debug)]
pub struct KeySection {
    /// Key id.
    pub id: Option<String>,
    /// The algorithm it verifies with.
    pub algorithm: Option<Algorithm>,
    /// The key itself.
    pub material: Option<KeyMaterial>,
}

/// A key itself, or the file that it is in.
#[derive(Debug)]
pub enum KeyMaterial {
    /// A shared secret. `wavegate token` and `wavegate link` can sign with it.
    Secret(Secret),
    /// The file of a public key or certificate.
    PublicKeyFile(PathBuf),
}

impl KeySection {
    /// The shared secret; `None` for a public key.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match &self.material {
            Some(KeyMaterial::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// Whether it is a public key, which cannot sign.
    pub(super) fn is_public(&self) -> bool {
        matches!(self.material, Some(KeyMaterial::PublicKeyFile(_)))
    }
}

rows! {
    /// The keys that verify the tokens of this issuer, and no others; one [[auth.issuer.key]] each.
    mod keys = "[[auth.issuer.key]]";

    /// Key id. A token with this kid is verified with this key. A key without an id is for tokens
    /// whose kid no other key has.
    id: Free<String> = text("2026-01").absent("none").shown();

    /// HS256, HS384 and HS512 need secret_file. RS256, RS384, RS512, PS256, PS384, PS512, ES256,
    /// ES384 and EdDSA need public_key_file.
    algorithm: Required<Free<Algorithm>> = required(parsed("HS256"));

    /// The shared secret as text, at least as long as the hash: 32, 48 or 64 bytes.
    secret_file: Free<Secret> = secret("secrets/bearer").shown();

    /// The public key, or a certificate with it, in PEM; RSA from 2048 bits.
    public_key_file: Free<PathBuf> = path("idp.pem").absent("none");
}

/// The rows of a table that describes a key.
pub(super) struct KeyRows {
    pub(super) id: &'static Setting<Free<String>>,
    pub(super) algorithm: &'static Setting<Required<Free<Algorithm>>>,
    pub(super) secret_file: &'static Setting<Free<Secret>>,
    pub(super) public_key_file: &'static Setting<Free<PathBuf>>,
}

/// The rows of a key of an issuer.
pub(super) const ISSUER: KeyRows = KeyRows {
    id: &keys::id,
    algorithm: &keys::algorithm,
    secret_file: &keys::secret_file,
    public_key_file: &keys::public_key_file,
};

pub(super) fn read_key(section: &mut Section<'_>, rows: &KeyRows) -> KeySection {
    KeySection {
        id: rows.id.given(section),
        algorithm: rows.algorithm.given(section),
        material: read_material(section, rows),
    }
}

fn read_material(section: &mut Section<'_>, rows: &KeyRows) -> Option<KeyMaterial> {
    let (secret, public) = (rows.secret_file, rows.public_key_file);
    match (section.has(secret.name), section.has(public.name)) {
        (true, false) => secret.given(section).map(KeyMaterial::Secret),
        (false, true) => public.given(section).map(KeyMaterial::PublicKeyFile),
        (true, true) => {
            section.problem(
                secret.name,
                "give either secret_file or public_key_file, not both",
            );
            section.take_away(public.name);
            secret.given(section).map(KeyMaterial::Secret)
        }
        (false, false) => {
            section.problem(
                secret.name,
                "missing; HS algorithms need secret_file, all others public_key_file",
            );
            None
        }
    }
}
