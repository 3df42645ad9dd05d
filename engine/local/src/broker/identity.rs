//! Who the cluster is, and the producer ids that it gave away.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{Error, ErrorKind};
use super::refusal::Refusal;
use super::store;

/// Version of the file; a broker that finds another one leaves it alone.
const FORMAT: u32 = 1;

/// The cluster's lasting identity, kept in one file.
#[derive(Debug)]
pub(super) struct Identity {
    path: PathBuf,
    cluster_id: String,
    stored: Mutex<Stored>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    format: u32,
    cluster_id: String,
    next_producer_id: i64,
}

impl Identity {
    /// Reads the identity from `folder`, or makes one up.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("cluster.json");
        let found: Option<Stored> =
            store::read_json(&path).map_err(|error| store::explain("read", &path, error))?;
        let stored = match found {
            Some(stored) if stored.format == FORMAT => stored,
            Some(stored) => {
                return Err(Error::new(
                    ErrorKind::Stored,
                    format!(
                        "{} has format {}, this broker reads format {FORMAT}; name another data folder",
                        path.display(),
                        stored.format
                    ),
                ));
            }
            None => {
                let stored = Stored {
                    format: FORMAT,
                    // Kafka's own spelling: 22 characters.
                    cluster_id: URL_SAFE_NO_PAD.encode(Uuid::new_v4().as_bytes()),
                    next_producer_id: 0,
                };
                store::write_json(&path, &stored)
                    .map_err(|error| Error::io("write", &path, error))?;
                stored
            }
        };
        Ok(Self {
            path,
            cluster_id: stored.cluster_id.clone(),
            stored: Mutex::new(stored),
        })
    }

    /// The cluster id, the same over all restarts.
    pub(super) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// A producer id that was never given away before.
    pub(super) fn next_producer_id(&self) -> Result<i64, Refusal> {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        let id = stored.next_producer_id;
        stored.next_producer_id += 1;
        store::write_json(&self.path, &*stored).map_err(|error| Refusal::storage(&error))?;
        Ok(id)
    }
}
