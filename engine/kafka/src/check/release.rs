//! Which Kafka release a broker is, told from the versions of requests that it takes: no request asks for it.

use std::collections::BTreeMap;
use std::fmt;

/// Highest versions that a broker takes, by the request's key.
pub(crate) type ApiVersions = BTreeMap<i16, i16>;

const FETCH: i16 = 1;
const LIST_OFFSETS: i16 = 2;
const METADATA: i16 = 3;
const OFFSET_FETCH: i16 = 9;
const API_VERSIONS: i16 = 18;

/// Releases in their order, each with a request's key and the version of it that came with the release.
///
/// The numbers are the ends of `validVersions` in `clients/src/main/resources/common/message/*Request.json` of each
/// release, and before 2.1 those of `ApiKeys.java`. Only requests of readers are looked at, for brokers that are not
/// Apache Kafka leave others out; releases that changed none of these can't be told from the one before.
const MARKS: &[(&str, i16, i16)] = &[
    ("0.10.0", API_VERSIONS, 0),
    ("0.10.1 or 0.10.2", METADATA, 2),
    ("0.11", METADATA, 4),
    ("1.0", METADATA, 5),
    ("1.1", FETCH, 7),
    ("2.0", FETCH, 8),
    ("2.1", FETCH, 10),
    ("2.2", LIST_OFFSETS, 5),
    ("2.3", FETCH, 11),
    ("2.4", METADATA, 9),
    ("2.5 or 2.6", OFFSET_FETCH, 7),
    ("2.7", FETCH, 12),
    ("2.8", METADATA, 11),
    ("3.0", LIST_OFFSETS, 7),
    ("3.1 to 3.4", FETCH, 13),
    ("3.5 or 3.6", FETCH, 15),
    ("3.7 or 3.8", FETCH, 16),
    ("3.9", FETCH, 17),
    ("4.0", METADATA, 13),
    ("4.1", FETCH, 18),
    ("4.2", LIST_OFFSETS, 11),
];

/// The Kafka release whose protocol a broker speaks.
///
/// Its text is `Kafka 4.1`; `Kafka 3.1 to 3.4` where these speak alike; `Kafka 4.2 or newer` for the newest that is
/// known here; `Kafka 2.3, in part newer` for a broker that is like no release of Apache Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaRelease {
    name: &'static str,
    newer: Newer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newer {
    No,
    InPart,
    Perhaps,
}

impl KafkaRelease {
    /// The last release that the broker has all marks up to; nothing where it told no versions.
    pub(super) fn of(versions: &ApiVersions) -> Option<Self> {
        let has = |(_, key, version): &(&str, i16, i16)| {
            versions.get(key).is_some_and(|highest| highest >= version)
        };
        let count = MARKS.iter().take_while(|mark| has(mark)).count();
        let (reached, newer) = MARKS.split_at(count);
        let (name, _, _) = reached.last()?;
        let newer = match newer {
            [] => Newer::Perhaps,
            marks if marks.iter().any(has) => Newer::InPart,
            _ => Newer::No,
        };
        Some(Self { name, newer })
    }
}

impl fmt::Display for KafkaRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newer = match self.newer {
            Newer::No => "",
            Newer::InPart => ", in part newer",
            Newer::Perhaps => " or newer",
        };
        write!(f, "Kafka {}{newer}", self.name)
    }
}

/// Key and highest version in librdkafka's log line `…/bootstrap:   ApiKey Fetch (1) Versions 4..18`. Lines of brokers
/// that the configured one named are passed over.
pub(crate) fn api_version(line: &str) -> Option<(i16, i16)> {
    let (_, line) = line.split_once("/bootstrap: ")?;
    let (request, versions) = line.rsplit_once(") Versions ")?;
    let (_, key) = request.rsplit_once('(')?;
    let (_, highest) = versions.split_once("..")?;
    Some((key.parse().ok()?, highest.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a broker with these highest versions of `Fetch`, `ListOffsets`, `Metadata` and `OffsetFetch` is taken for.
    fn told(fetch: i16, list_offsets: i16, metadata: i16, offset_fetch: i16) -> String {
        let versions = [
            (FETCH, fetch),
            (LIST_OFFSETS, list_offsets),
            (METADATA, metadata),
            (OFFSET_FETCH, offset_fetch),
            (API_VERSIONS, 3),
        ];
        KafkaRelease::of(&versions.into()).unwrap().to_string()
    }

    #[test]
    fn releases_are_told_by_what_came_with_them() {
        assert_eq!(told(2, 0, 1, 1), "Kafka 0.10.0");
        assert_eq!(told(6, 2, 5, 3), "Kafka 1.0");
        assert_eq!(told(11, 5, 9, 6), "Kafka 2.4");
        assert_eq!(told(11, 5, 9, 7), "Kafka 2.5 or 2.6");
        assert_eq!(told(13, 7, 12, 8), "Kafka 3.1 to 3.4");
        assert_eq!(told(17, 9, 12, 9), "Kafka 3.9");
        assert_eq!(told(17, 10, 13, 9), "Kafka 4.0");
        assert_eq!(told(18, 10, 13, 9), "Kafka 4.1");
    }

    #[test]
    fn what_is_newer_or_other_than_the_known_releases_is_said() {
        assert_eq!(told(18, 11, 13, 10), "Kafka 4.2 or newer");
        assert_eq!(told(99, 99, 99, 99), "Kafka 4.2 or newer");
        assert_eq!(told(13, 4, 12, 8), "Kafka 2.1, in part newer");
        assert_eq!(KafkaRelease::of(&ApiVersions::new()), None);
    }

    #[test]
    fn versions_are_read_from_librdkafkas_log_lines() {
        let name = "[thrd:127.0.0.1:9092/bootstrap]: 127.0.0.1:9092/bootstrap:";
        for (line, found) in [
            ("ApiKey Fetch (1) Versions 4..18", Some((FETCH, 18))),
            ("ApiKey Unknown-99? (99) Versions 0..0", Some((99, 0))),
            ("Broker API support:", None),
            (
                "Feature LZ4: FindCoordinator (0..0) supported by broker",
                None,
            ),
            ("ApiKey Fetch (1) Versions 4..99999999", None),
        ] {
            assert_eq!(api_version(&format!("{name}   {line}")), found, "{line}");
        }
        let named = "[thrd:127.0.0.1:9093/2]: 127.0.0.1:9093/2:   ApiKey Fetch (1) Versions 4..18";
        assert_eq!(api_version(named), None);
    }
}
