//! Who asks, and where that is read from.

mod profile;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine_model::job::Secret;
use jiff::Timestamp;

pub(crate) use self::profile::Profile;

/// An access key, or a temporary one with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The access id; not a secret.
    pub access_id: String,
    /// The access key's secret.
    pub secret: Secret,
    /// The token of temporary credentials (STS).
    pub security_token: Option<Secret>,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// They are given, and stay.
    Fixed(Credentials),
    /// They are in a file, which is read again when the server refuses them and shortly before they expire.
    File(ProfileFile),
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(credentials)
    }
}

/// A profile in a file of Alibaba Cloud's own tools: the `config.json` of the command line tool `aliyun`, or the INI file
/// `credentials` of the SDKs. Which of the two it is, its first character tells.
///
/// Profiles with an access key (mode `AK`, type `access_key`) and with temporary credentials (mode `StsToken`, type `sts`)
/// are taken. Something else has to renew the temporary ones in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFile {
    /// The file.
    pub path: PathBuf,
    /// The profile's name; without one the profile that `config.json` calls current, or `default` in an INI file.
    pub profile: Option<String>,
}

impl ProfileFile {
    /// The error names the file and never shows what is in it.
    fn read(&self) -> Result<Profile, String> {
        let path = self.path.display();
        let text = fs::read_to_string(&self.path)
            .map_err(|error| format!("the credentials file {path} can't be read: {error}"))?;
        profile::parse(&text, self.profile.as_deref())
            .map_err(|problem| format!("the credentials file {path}: {problem}"))
    }
}

/// How long before they expire temporary credentials are looked up again.
const RENEWED_BEFORE: Duration = Duration::from_mins(5);
/// The least time between two looks for that reason.
const LOOKS_APART: Duration = Duration::from_secs(10);
/// Credentials that were in use earlier and are still kept out of texts: a late answer may quote them.
const FORMER_MAX: usize = 8;

/// The credentials in use.
pub(crate) struct Keyring {
    source: CredentialSource,
    held: Mutex<Held>,
    /// Whether a server took credentials of this source.
    taken: AtomicBool,
}

struct Held {
    profile: Profile,
    former: Vec<Arc<Credentials>>,
    /// When the file was read last, by the monotonic clock.
    read: Duration,
}

impl Keyring {
    /// Reads the file, if there is one.
    pub(crate) fn open(source: CredentialSource, elapsed: Duration) -> Result<Self, String> {
        let profile = match &source {
            CredentialSource::Fixed(credentials) => Profile {
                credentials: Arc::new(credentials.clone()),
                expires: None,
            },
            CredentialSource::File(file) => file.read()?,
        };
        let held = Held {
            profile,
            former: Vec::new(),
            read: elapsed,
        };
        Ok(Self {
            source,
            held: Mutex::new(held),
            taken: AtomicBool::new(false),
        })
    }

    pub(crate) fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.lock().profile.credentials)
    }

    /// Whether the file should be read before the next request. Says so once for each look that is due.
    pub(crate) fn is_look_due(&self, now: Timestamp, elapsed: Duration) -> bool {
        let mut held = self.lock();
        let Some(expires) = held.profile.expires else {
            return false;
        };
        let left = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
        let due = left < RENEWED_BEFORE && elapsed.saturating_sub(held.read) >= LOOKS_APART;
        if due {
            held.read = elapsed;
        }
        due
    }

    /// Looks for other credentials than `used`, which the server refused or which expire soon. Blocks while it reads.
    ///
    /// Nothing where there can't be any, for they are given; whether there are others, where there is a file.
    pub(crate) fn renew(&self, used: &Credentials) -> Option<Result<bool, String>> {
        let CredentialSource::File(file) = &self.source else {
            return None;
        };
        // Another call may have read it meanwhile.
        if *self.current() != *used {
            return Some(Ok(true));
        }
        let profile = match file.read() {
            Ok(profile) => profile,
            Err(problem) => return Some(Err(problem)),
        };
        let mut held = self.lock();
        let differs = *profile.credentials != *used;
        if *profile.credentials == *held.profile.credentials {
            held.profile.expires = profile.expires;
        } else {
            let former = std::mem::replace(&mut held.profile, profile);
            if held.former.len() == FORMER_MAX {
                held.former.remove(0);
            }
            held.former.push(former.credentials);
        }
        Some(Ok(differs))
    }

    /// Remembers that a server took the credentials.
    pub(crate) fn were_taken(&self) {
        self.taken.store(true, Ordering::Relaxed);
    }

    /// Whether refused credentials are worth waiting for others: those of a file from which some were taken before.
    pub(crate) fn may_be_renewed(&self) -> bool {
        matches!(self.source, CredentialSource::File(_)) && self.taken.load(Ordering::Relaxed)
    }

    /// Takes secrets and tokens, those of earlier credentials too, out of a text that came from outside.
    pub(crate) fn redact(&self, text: String) -> String {
        let held = self.lock();
        let all = std::iter::once(&held.profile.credentials).chain(&held.former);
        all.flat_map(|credentials| {
            [
                Some(&credentials.secret),
                credentials.security_token.as_ref(),
            ]
        })
        .flatten()
        .map(Secret::expose)
        .filter(|secret| !secret.is_empty())
        .fold(text, |text, secret| text.replace(secret, "…"))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
