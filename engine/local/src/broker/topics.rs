//! The topics of the broker, and the folder that keeps them.
//!
//! Each topic is a folder named by its id with `topic.json` and one log for each topic partition. A folder appears and disappears by
//! one rename, so a crash leaves a whole topic or none.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{Error, ErrorKind};
use super::limits::{PARTITIONS_MAX, TOPIC_NAME_BYTES_MAX};
use super::log::PartitionLog;
use super::refusal::Refusal;
use super::store;
use super::topic_config::TopicConfig;

/// Version of `topic.json`; a broker that finds another one does not start.
const FORMAT: u32 = 1;

const TOPIC_FILE: &str = "topic.json";

/// What a folder's name begins with that is not, or no longer, a topic.
const LEFTOVER_PREFIX: &str = ".";

/// A topic. A change makes a new value, so whoever holds one sees it whole.
#[derive(Debug)]
pub(super) struct Topic {
    /// Its name.
    pub(super) name: String,
    /// Its id: a topic that is deleted and created again has another one.
    pub(super) id: Uuid,
    /// Its settings.
    pub(super) config: TopicConfig,
    /// The logs of its topic partitions, by number.
    pub(super) partitions: Vec<Arc<PartitionLog>>,
}

impl Topic {
    /// The log of a topic partition.
    pub(super) fn partition(&self, number: i32) -> Option<&Arc<PartitionLog>> {
        self.partitions.get(usize::try_from(number).ok()?)
    }

    /// Number of topic partitions.
    pub(super) fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }
}

/// All topics, by name and by id.
#[derive(Debug)]
pub(super) struct Topics {
    folder: PathBuf,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<String, Arc<Topic>>,
    names: HashMap<Uuid, String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    format: u32,
    name: String,
    partitions: i32,
    config: BTreeMap<String, String>,
}

impl Topics {
    /// Opens all topics in `folder` and their logs, and removes what a crash left of others.
    pub(super) fn open(folder: PathBuf) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(|error| Error::io("create", &folder, error))?;
        let mut known = Known::default();
        let entries = fs::read_dir(&folder).map_err(|error| Error::io("read", &folder, error))?;
        for entry in entries {
            let path = entry
                .map_err(|error| Error::io("read", &folder, error))?
                .path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let leftover = name.strip_prefix(LEFTOVER_PREFIX).map(Uuid::try_parse);
            if let Some(Ok(_)) = leftover {
                fs::remove_dir_all(&path).map_err(|error| Error::io("remove", &path, error))?;
                continue;
            }
            let Ok(id) = Uuid::try_parse(&name) else {
                return Err(Error::new(
                    ErrorKind::Stored,
                    format!("{} is no topic's folder; move it away", path.display()),
                ));
            };
            known.insert(read_topic(&path, id)?);
        }
        Ok(Self {
            folder,
            known: RwLock::new(known),
        })
    }

    /// The topic of that name.
    pub(super) fn by_name(&self, name: &str) -> Option<Arc<Topic>> {
        self.read().by_name.get(name).cloned()
    }

    /// The topic with that id.
    pub(super) fn by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        let known = self.read();
        known.by_name.get(known.names.get(&id)?).cloned()
    }

    /// All topics, by name.
    pub(super) fn all(&self) -> Vec<Arc<Topic>> {
        self.read().by_name.values().cloned().collect()
    }

    /// Says why a topic cannot be created, without creating it.
    pub(super) fn check_new(&self, name: &str, partitions: i32) -> Result<(), Refusal> {
        check_name(name)?;
        check_partitions(partitions)?;
        if self.read().by_name.contains_key(name) {
            return Err(already_there(name));
        }
        Ok(())
    }

    /// Creates a topic with empty logs.
    pub(super) fn create(
        &self,
        name: &str,
        partitions: i32,
        config: TopicConfig,
    ) -> Result<Arc<Topic>, Refusal> {
        check_name(name)?;
        check_partitions(partitions)?;
        let mut known = self.write();
        if known.by_name.contains_key(name) {
            return Err(already_there(name));
        }
        let id = Uuid::new_v4();
        let topic = self
            .write_topic(name, id, partitions, config)
            .map_err(|error| Refusal::storage(&error))?;
        Ok(known.insert(topic))
    }

    /// Raises the number of a topic's partitions to `partitions`.
    pub(super) fn grow(&self, name: &str, partitions: i32) -> Result<(), Refusal> {
        let mut known = self.write();
        let topic = known.by_name.get(name).cloned().ok_or_else(unknown_topic)?;
        let before = topic.partition_count();
        if partitions <= before || partitions > PARTITIONS_MAX {
            return Err(Refusal::new(
                ResponseError::InvalidPartitions,
                format!(
                    "topic {name} has {before} topic partitions; {partitions} is not more, or more than {PARTITIONS_MAX}"
                ),
            ));
        }
        let folder = self.topic_folder(topic.id);
        let stored = Stored {
            format: FORMAT,
            name: name.to_owned(),
            partitions,
            config: topic.config.given().clone(),
        };
        let mut logs = topic.partitions.clone();
        let mut add = || {
            store::write_json(&folder.join(TOPIC_FILE), &stored)?;
            for number in before..partitions {
                logs.push(open_log(&folder, number)?);
            }
            Ok(())
        };
        add().map_err(|error: io::Error| Refusal::storage(&error))?;
        known.insert(Topic {
            name: name.to_owned(),
            id: topic.id,
            config: topic.config.clone(),
            partitions: logs,
        });
        Ok(())
    }

    /// Deletes a topic with all its messages.
    pub(super) fn delete(&self, topic: &Topic) -> Result<(), Refusal> {
        let leftover = self
            .folder
            .join(format!("{LEFTOVER_PREFIX}{}", topic.id.simple()));
        {
            let mut known = self.write();
            if known.names.remove(&topic.id).is_none() {
                return Err(unknown_topic());
            }
            known.by_name.remove(&topic.name);
            fs::rename(self.topic_folder(topic.id), &leftover)
                .map_err(|error| Refusal::storage(&error))?;
        }
        fs::remove_dir_all(&leftover).map_err(|error| Refusal::storage(&error))
    }

    fn write_topic(
        &self,
        name: &str,
        id: Uuid,
        partitions: i32,
        config: TopicConfig,
    ) -> io::Result<Topic> {
        let draft = self
            .folder
            .join(format!("{LEFTOVER_PREFIX}{}", id.simple()));
        fs::create_dir(&draft)?;
        let stored = Stored {
            format: FORMAT,
            name: name.to_owned(),
            partitions,
            config: config.given().clone(),
        };
        store::write_json(&draft.join(TOPIC_FILE), &stored)?;
        let folder = self.topic_folder(id);
        fs::rename(&draft, &folder)?;
        Ok(Topic {
            name: name.to_owned(),
            id,
            config,
            partitions: open_logs(&folder, partitions)?,
        })
    }

    fn topic_folder(&self, id: Uuid) -> PathBuf {
        self.folder.join(id.simple().to_string())
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn insert(&mut self, topic: Topic) -> Arc<Topic> {
        let topic = Arc::new(topic);
        self.names.insert(topic.id, topic.name.clone());
        self.by_name.insert(topic.name.clone(), Arc::clone(&topic));
        topic
    }
}

/// The error of a topic that isn't there.
pub(super) fn unknown_topic() -> Refusal {
    Refusal::new(
        ResponseError::UnknownTopicOrPartition,
        "there is no such topic or topic partition",
    )
}

/// Refuses names that Kafka refuses.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty()
        || name.len() > TOPIC_NAME_BYTES_MAX
        || matches!(name, "." | "..")
        || !name.chars().all(legal)
    {
        return Err(Refusal::new(
            ResponseError::InvalidTopicException,
            format!(
                "topic name {name:?} is not 1 to {TOPIC_NAME_BYTES_MAX} ASCII letters, digits, '.', '_' and '-'"
            ),
        ));
    }
    Ok(())
}

fn check_partitions(partitions: i32) -> Result<(), Refusal> {
    if (1..=PARTITIONS_MAX).contains(&partitions) {
        return Ok(());
    }
    Err(Refusal::new(
        ResponseError::InvalidPartitions,
        format!("{partitions} topic partitions are not between 1 and {PARTITIONS_MAX}"),
    ))
}

fn already_there(name: &str) -> Refusal {
    Refusal::new(
        ResponseError::TopicAlreadyExists,
        format!("topic {name} already exists"),
    )
}

fn read_topic(folder: &Path, id: Uuid) -> Result<Topic, Error> {
    let path = folder.join(TOPIC_FILE);
    let damaged = |why: &str| {
        Error::new(
            ErrorKind::Stored,
            format!("{} {why}; move its folder away", path.display()),
        )
    };
    let stored: Stored = store::read_json(&path)
        .map_err(|error| store::explain("read", &path, error))?
        .ok_or_else(|| damaged("is missing"))?;
    if stored.format != FORMAT {
        return Err(damaged(&format!(
            "has format {}, not {FORMAT}",
            stored.format
        )));
    }
    let config =
        TopicConfig::new(stored.config).map_err(|refusal| damaged(&refusal.to_string()))?;
    check_partitions(stored.partitions).map_err(|refusal| damaged(&refusal.to_string()))?;
    Ok(Topic {
        name: stored.name,
        id,
        config,
        partitions: open_logs(folder, stored.partitions)
            .map_err(|error| store::explain("open the logs in", folder, error))?,
    })
}

fn open_logs(folder: &Path, partitions: i32) -> io::Result<Vec<Arc<PartitionLog>>> {
    (0..partitions)
        .map(|number| open_log(folder, number))
        .collect()
}

fn open_log(folder: &Path, number: i32) -> io::Result<Arc<PartitionLog>> {
    PartitionLog::open(folder.join(format!("{number}.log"))).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> TopicConfig {
        let pairs = pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()));
        TopicConfig::new(pairs).unwrap()
    }

    #[test]
    fn topics_survive_a_restart_and_deleted_ones_do_not_return() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Topics::open(folder.path().join("topics")).unwrap();
        let topics = open();
        let kept = topics
            .create("kept", 3, config(&[("retention.ms", "1000")]))
            .unwrap();
        let gone = topics.create("gone", 1, TopicConfig::default()).unwrap();
        topics.grow("kept", 5).unwrap();
        topics.delete(&gone).unwrap();
        assert!(topics.delete(&gone).is_err());
        assert_eq!(topics.by_id(gone.id).map(|topic| topic.id), None);

        // What a crash leaves of a topic that was being created.
        let draft = format!("topics/.{}", Uuid::new_v4().simple());
        fs::create_dir(folder.path().join(&draft)).unwrap();
        let again = open();
        assert!(!folder.path().join(draft).try_exists().unwrap());
        let all = again.all();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].name.as_str(), all[0].id), ("kept", kept.id));
        assert_eq!(all[0].partition_count(), 5);
        assert_eq!(all[0].config.given(), kept.config.given());
        assert!(again.by_id(kept.id).is_some());
        assert_eq!(
            fs::read_dir(folder.path().join("topics")).unwrap().count(),
            1
        );
    }

    #[test]
    fn refusals_have_kafkas_codes() {
        let folder = tempfile::tempdir().unwrap();
        let topics = Topics::open(folder.path().to_owned()).unwrap();
        topics.create("orders", 2, TopicConfig::default()).unwrap();
        let code = |name: &str, partitions| {
            topics
                .create(name, partitions, TopicConfig::default())
                .unwrap_err()
                .code()
        };
        assert_eq!(code("orders", 1), ResponseError::TopicAlreadyExists.code());
        assert_eq!(code("new", 0), ResponseError::InvalidPartitions.code());
        for name in ["", ".", "..", "a/b", "a b", "é", "x".repeat(250).as_str()] {
            assert_eq!(code(name, 1), ResponseError::InvalidTopicException.code());
        }
        let shrink = topics.grow("orders", 2).unwrap_err();
        assert_eq!(shrink.code(), ResponseError::InvalidPartitions.code());
    }

    #[test]
    fn a_strangers_folder_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("orders-0")).unwrap();
        let error = Topics::open(folder.path().to_owned()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stored);
    }
}
