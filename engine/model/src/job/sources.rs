//! Data sources: connections by name, for each environment.

use std::fmt;
use std::sync::Arc;

use crate::finding::Findings;

use super::walk::{Field, Section, Walk, either, nearest};
use super::yaml::{self, Node};
use super::{kafka, maxcompute};

/// What a `sources.yaml` says: environments, and in each the data sources by name.
///
/// ```yaml
/// environments:
///   dev:
///     shop_kafka: { kafka: { brokers: ["127.0.0.1:9092"] } }
///     shop_odps: { maxcompute: { endpoint: "http://127.0.0.1:18090/api", project: shop_dev } }
/// ```
///
/// A data source holds the keys of a connection as a job can hold them itself. A key may be in one of the two places;
/// in both it is refused, so that no value silently hides another. That goes for each of Kafka's `options` too.
#[derive(Clone)]
pub struct SourcesSpec {
    file: Arc<str>,
    root: Arc<Node>,
}

/// Only the file's name: its values may be secrets.
impl fmt::Debug for SourcesSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourcesSpec")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The kinds of data sources, and the keys that each may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Kafka,
    MaxCompute,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::MaxCompute => "maxcompute",
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Kafka => &kafka::CONNECTION_KEYS,
            Self::MaxCompute => &maxcompute::CONNECTION_KEYS,
        }
    }
}

/// The keys of a connection, from the job and from the data source that it names.
pub(super) struct Connection<'n> {
    pub(super) inline: Section<'n>,
    source: Option<Section<'n>>,
    /// A data source is named and can't be used, so what is missing may be no fault of the job.
    pub(super) broken: bool,
}

impl SourcesSpec {
    /// Reads a `sources.yaml`; `file` is its name in findings. Its content is checked with the job that uses it.
    ///
    /// # Errors
    ///
    /// The findings that keep the text from being a tree of keys and values.
    pub fn parse(file: &str, text: &str) -> Result<Self, Findings> {
        let file = Arc::from(file);
        let root = Arc::new(yaml::parse(&file, text)?);
        Ok(Self { file, root })
    }
}

/// The chosen environment.
pub(super) struct Environment<'n> {
    /// Its name; nothing where there is none to choose from.
    pub(super) name: Option<&'n str>,
    /// Its data sources, or why there are none: a finding only for a job that names one.
    sources: Result<Section<'n>, String>,
}

impl<'n> Environment<'n> {
    /// Checks the shape of all environments and chooses one: the one named, or the only one.
    pub(super) fn choose(
        walk: &mut Walk<'_>,
        spec: Option<&'n SourcesSpec>,
        name: Option<&str>,
    ) -> Self {
        match choose(walk, spec, name) {
            Ok((name, sources)) => Self {
                name: Some(name),
                sources: Ok(sources),
            },
            Err(problem) => Self {
                name: None,
                sources: Err(problem),
            },
        }
    }

    /// The connection of kind `kind` that `inline` and the data source it names make together.
    pub(super) fn connection(
        &self,
        walk: &mut Walk<'_>,
        inline: Section<'n>,
        kind: Kind,
    ) -> Connection<'n> {
        let named = inline.get("datasource");
        let source = named
            .as_ref()
            .and_then(|field| self.find(walk, field, kind));
        Connection {
            broken: named.is_some() && source.is_none(),
            inline,
            source,
        }
    }

    fn find(&self, walk: &mut Walk<'_>, field: &Field<'n>, kind: Kind) -> Option<Section<'n>> {
        let name = walk.open_text(field)?;
        let sources = match &self.sources {
            Ok(sources) => sources,
            Err(problem) => {
                let message = format!("data source `{name}` can't be looked up: {problem}");
                walk.error(field, message);
                return None;
            }
        };
        let environment = self.name.unwrap_or_default();
        let Some(source) = sources.get(&name) else {
            let of_kind = || {
                let all = sources.fields();
                all.filter_map(|(key, _, field)| (kind_of(&field)? == kind).then_some(key))
            };
            let advice = match nearest(&name, of_kind()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if of_kind().next().is_none() => {
                    format!("it has no data source with `{}`; add one", kind.name())
                }
                None => format!("it has {}", either(of_kind())),
            };
            let message =
                format!("environment `{environment}` has no data source `{name}`; {advice}");
            walk.error(field, message);
            return None;
        };
        let found = match source.value {
            yaml::Value::Mapping(entries) => entries.iter().find(|e| e.key == kind.name()),
            _ => None,
        };
        let Some(found) = found else {
            // The shape check has spoken of data sources that hold neither kind.
            if kind_of(&source).is_some() {
                let message = format!(
                    "data source `{name}` of environment `{environment}` has no `{}`; name one that has",
                    kind.name()
                );
                walk.error(field, message);
            }
            return None;
        };
        // Its keys were checked with those of all others.
        Section::of(&source.child(found))
    }
}

/// The name and the data sources of the environment that `name` names, or of the only one; or why there is none.
fn choose<'n>(
    walk: &mut Walk<'_>,
    spec: Option<&'n SourcesSpec>,
    name: Option<&str>,
) -> Result<(&'n str, Section<'n>), String> {
    let spec = spec.ok_or(
        "there is no sources.yaml; put one beside the job file, or write the connection here",
    )?;
    let root = Field::root(&spec.file, &spec.root);
    let environments = walk
        .section(&root, &["environments"])
        .and_then(|top| {
            let advice = "add it, with a key for each environment";
            walk.required(&top, "environments", advice)
        })
        .and_then(|field| walk.mapping(&field))
        .ok_or("the sources file has no environments that can be read; see there")?;
    let mut found: Vec<(&str, Option<Section<'_>>)> = Vec::new();
    for (key, _, field) in environments.fields() {
        let section = walk.mapping(&field);
        if let Some(section) = &section {
            check_shape(walk, section);
        }
        found.push((key, section));
    }
    let names = either(found.iter().map(|(key, _)| *key));
    let chosen = match (name, found.as_slice()) {
        (_, []) => return Err("the sources file has no environment; add one".to_owned()),
        (None, [only]) => only,
        (None, _) => {
            let problem =
                format!("several environments have data sources; choose {names} with --env");
            return Err(problem);
        }
        (Some(name), found) => found.iter().find(|(key, _)| *key == name).ok_or_else(|| {
            format!("environment `{name}` is not in the sources file; choose {names} with --env")
        })?,
    };
    match chosen {
        (key, Some(section)) => Ok((key, section.clone())),
        (key, None) => Err(format!("environment `{key}` can't be read; see there")),
    }
}

/// Which kind of data source `field` holds.
fn kind_of(field: &Field<'_>) -> Option<Kind> {
    let yaml::Value::Mapping(entries) = field.value else {
        return None;
    };
    let has = |kind: Kind| entries.iter().any(|entry| entry.key == kind.name());
    [Kind::Kafka, Kind::MaxCompute]
        .into_iter()
        .find(|kind| has(*kind))
}

/// Checks the keys of every data source in one environment, and none of its values: those of an environment that isn't
/// chosen may well be missing here.
fn check_shape(walk: &mut Walk<'_>, environment: &Section<'_>) {
    for (_, _, field) in environment.fields() {
        let Some(section) = walk.section(&field, &["kafka", "maxcompute"]) else {
            continue;
        };
        for kind in [Kind::Kafka, Kind::MaxCompute] {
            if let Some(connection) = section.get(kind.name()) {
                walk.section(&connection, kind.keys());
            }
        }
        if section.len() == 0 {
            walk.error(&field, "holds no connection; add `kafka` or `maxcompute`");
        }
    }
}

impl<'n> Connection<'n> {
    /// The value of `key`, from the job or from the data source.
    pub(super) fn get(&self, walk: &mut Walk<'_>, key: &str) -> Option<Field<'n>> {
        let inline = self.inline.get(key);
        let source = self.source.as_ref().and_then(|source| source.get(key));
        if let (Some(inline), Some(source)) = (&inline, &source) {
            let Field { path, place, .. } = source;
            let message = format!(
                "is given here and by the data source ({path}, line {}); keep one of the two",
                place.line
            );
            walk.error(inline, message);
        }
        inline.or(source)
    }

    /// The value of `key`, which must be in one of the two. Where the data source can't be used, that finding is enough.
    pub(super) fn required(
        &self,
        walk: &mut Walk<'_>,
        key: &str,
        advice: &str,
    ) -> Option<Field<'n>> {
        match self.get(walk, key) {
            None if !self.broken => walk.required(&self.inline, key, advice),
            found => found,
        }
    }

    /// The values of the mapping `key` in the job and in the data source.
    pub(super) fn mappings(&self, walk: &mut Walk<'_>, key: &str) -> Vec<Section<'n>> {
        let inline = self.inline.get(key);
        let source = self.source.as_ref().and_then(|source| source.get(key));
        let both = [source, inline].into_iter().flatten();
        both.filter_map(|field| walk.mapping(&field)).collect()
    }
}
