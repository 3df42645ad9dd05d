//! Group offsets, kept in one file.
//!
//! Groups have no members here: offsets are committed by clients that choose their topic partitions themselves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::refusal::Refusal;
use super::store;

/// A group offset of one topic partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupOffset {
    /// Offset of the next message that the group wants.
    pub(super) offset: i64,
    /// Leader epoch of the last message that it had, or -1.
    pub(super) leader_epoch: i32,
    /// A text of the client's own.
    pub(super) metadata: String,
}

/// One topic's group offsets, by topic partition.
pub(super) type TopicOffsets = BTreeMap<i32, GroupOffset>;

/// One group's offsets, by topic.
pub(super) type GroupOffsets = BTreeMap<String, TopicOffsets>;

/// The offsets of all groups.
#[derive(Debug)]
pub(super) struct Groups {
    path: PathBuf,
    offsets: Mutex<BTreeMap<String, GroupOffsets>>,
}

impl Groups {
    /// Reads the offsets from `folder`.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("groups.json");
        let offsets = store::read_json(&path)
            .map_err(|error| store::explain("read", &path, error))?
            .unwrap_or_default();
        Ok(Self {
            path,
            offsets: Mutex::new(offsets),
        })
    }

    /// Keeps `offsets` over those that the group has for the same topic partitions.
    pub(super) fn commit(&self, group: &str, offsets: GroupOffsets) -> Result<(), Refusal> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut all = self.offsets();
        let kept = all.entry(group.to_owned()).or_default();
        for (topic, partitions) in offsets {
            kept.entry(topic).or_default().extend(partitions);
        }
        store::write_json(&self.path, &*all).map_err(|error| Refusal::storage(&error))
    }

    /// All offsets of a group; empty for one that never committed.
    pub(super) fn of(&self, group: &str) -> GroupOffsets {
        self.offsets().get(group).cloned().unwrap_or_default()
    }

    /// Forgets a deleted topic: one with the same name later begins anew.
    pub(super) fn forget_topic(&self, topic: &str) -> Result<(), Refusal> {
        let mut all = self.offsets();
        let mut changed = false;
        for group in all.values_mut() {
            changed |= group.remove(topic).is_some();
        }
        if changed {
            store::write_json(&self.path, &*all).map_err(|error| Refusal::storage(&error))?;
        }
        Ok(())
    }

    fn offsets(&self) -> MutexGuard<'_, BTreeMap<String, GroupOffsets>> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
