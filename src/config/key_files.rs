//! The files of a merchant's API key: the private key in a file, its public id in the settings or in another file.

use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use zeroize::Zeroizing;

use crate::domain::pay::{ApiKey, Environment};

/// The files of a key. Their content may change while the process runs.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    environment: Environment,
    public_key_id: PublicKeyId,
    private_key_file: PathBuf,
}

#[derive(Clone, Debug)]
enum PublicKeyId {
    Setting(String),
    File(PathBuf),
}

/// A digest of the files of a key.
pub type Fingerprint = Vec<u8>;

/// The name of the setting that is wrong, and what would be right.
type Wrong = (&'static str, String);

impl KeyFiles {
    /// From the settings. Relative paths start at `folder`.
    pub(super) fn new(
        environment: Environment,
        public_key_id: Option<&str>,
        public_key_id_file: Option<&Path>,
        private_key_file: &Path,
        folder: &Path,
    ) -> Result<Self, Wrong> {
        let public_key_id = match (public_key_id, public_key_id_file) {
            (Some(id), None) => PublicKeyId::Setting(id.to_owned()),
            (None, Some(file)) => PublicKeyId::File(folder.join(file)),
            (None, None) => return Err(("public_key_id", MISSING.to_owned())),
            (Some(_), Some(_)) => {
                return Err(("public_key_id_file", "is set together with public_key_id; keep one".to_owned()));
            }
        };
        Ok(Self { environment, public_key_id, private_key_file: folder.join(private_key_file) })
    }

    /// Reads and checks the key. The fingerprint is computed first, so a change in between is noticed at the next check.
    pub fn load(&self) -> Result<(ApiKey, Fingerprint), Wrong> {
        let fingerprint = self.fingerprint().unwrap_or_default();
        let (setting, id) = self.id()?;
        let other = match self.environment {
            Environment::Live => "SANDBOX",
            Environment::Sandbox => "LIVE",
        };
        if id.is_empty() {
            return Err((setting, MISSING.to_owned()));
        }
        if id.to_ascii_uppercase().starts_with(other) {
            return Err((setting, format!("is a key for {other}, but environment is {}", self.environment)));
        }
        let file = &self.private_key_file;
        let pem = std::fs::read_to_string(file)
            .map(Zeroizing::new)
            .map_err(|io| ("private_key_file", format!("{} cannot be read: {io}", file.display())))?;
        let key = ApiKey::from_pem(&id, &pem);
        let key = key.map_err(|bad| ("private_key_file", format!("{}: {bad}", file.display())))?;
        Ok((key, fingerprint))
    }

    /// The private key.
    pub fn private_key_file(&self) -> &Path {
        &self.private_key_file
    }

    /// A digest of the content of the files, to notice a change.
    pub fn fingerprint(&self) -> std::io::Result<Fingerprint> {
        let mut digest = Context::new(&SHA256);
        if let PublicKeyId::File(file) = &self.public_key_id {
            digest.update(&std::fs::read(file)?);
        }
        digest.update(&Zeroizing::new(std::fs::read(&self.private_key_file)?));
        Ok(digest.finish().as_ref().to_vec())
    }

    fn id(&self) -> Result<(&'static str, String), Wrong> {
        match &self.public_key_id {
            PublicKeyId::Setting(id) => Ok(("public_key_id", id.clone())),
            PublicKeyId::File(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|io| ("public_key_id_file", format!("{} cannot be read: {io}", file.display())))?;
                Ok(("public_key_id_file", text.trim().to_owned()))
            }
        }
    }
}

const MISSING: &str = "is missing; Seller Central > Integration Central shows it next to the key";
