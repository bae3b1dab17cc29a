//! `[[auth.issuer.key]]` and `[[links.key]]`: a key that verifies tokens.

use std::path::PathBuf;

use crate::auth::Algorithm;
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
    /// The shared secret, where the key is one.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        match &self.material {
            Some(KeyMaterial::Secret(secret)) => Some(secret),
            _ => None,
        }
    }

    /// Whether there is only its public half, which cannot sign.
    pub(super) fn is_public(&self) -> bool {
        matches!(self.material, Some(KeyMaterial::PublicKeyFile(_)))
    }
}

pub(super) fn read_key(section: &mut Section<'_>) -> KeySection {
    let id = section.text("id");
    let algorithm = section.required("algorithm");
    let algorithm = algorithm.and_then(|text| section.parse("algorithm", &text));
    KeySection {
        id,
        algorithm,
        material: read_material(section),
    }
}

fn read_material(section: &mut Section<'_>) -> Option<KeyMaterial> {
    match (section.has("secret_file"), section.has("public_key_file")) {
        (true, false) => section.secret_file("secret_file").map(KeyMaterial::Secret),
        (false, true) => section
            .path("public_key_file")
            .map(KeyMaterial::PublicKeyFile),
        (true, true) => {
            section.problem(
                "secret_file",
                "give either secret_file or public_key_file, not both",
            );
            section.take_away("public_key_file");
            section.secret_file("secret_file").map(KeyMaterial::Secret)
        }
        (false, false) => {
            section.problem(
                "secret_file",
                "missing; HS algorithms need secret_file, all others public_key_file",
            );
            None
        }
    }
}
