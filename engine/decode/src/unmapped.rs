//! Fields of payloads that no column takes.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;

use engine_model::{ColumnMapping, ColumnSource, FieldPath, MessageFormat, Step, UnmappedFields};
use simd_json::Node;

use crate::document::DocumentReader;
use crate::node::extent;
use crate::parser::Document;
use crate::sample::SAMPLE_KEY_BYTES_MAX;

/// Fields of one payload that are told apart, at most: more than are named in the end.
const PATHS_MAX: usize = 1_000;

/// The fields of objects that a job maps. What is within a mapped field is mapped with it, and so are all elements of an
/// array of which one is.
#[derive(Clone, Debug, Default)]
pub struct MappedFields {
    top: MappedField,
}

#[derive(Clone, Debug, Default)]
struct MappedField {
    /// A column takes all of it.
    whole: bool,
    below: HashMap<String, MappedField>,
}

impl MappedFields {
    /// The fields of `mappings`; nothing where no column takes a field, or one takes the payload as a whole. `__value__`
    /// is no field.
    pub fn new(mappings: &[ColumnMapping]) -> Option<Self> {
        let mut fields = Self::default();
        for mapping in mappings {
            if let ColumnSource::Path(path) = &mapping.source {
                fields.add(path);
            }
        }
        let useful = !fields.top.whole && !fields.top.below.is_empty();
        useful.then_some(fields)
    }

    fn add(&mut self, path: &FieldPath) {
        let mut field = &mut self.top;
        for step in path.steps() {
            match step {
                Step::Key(key) => field = field.below.entry(key.clone()).or_default(),
                Step::Index(_) => break,
            }
        }
        field.whole = true;
    }
}

/// Looks for fields without a column, in a few payloads: it allocates for each.
#[derive(Debug)]
pub struct UnmappedFinder {
    mapped: Arc<MappedFields>,
    reader: DocumentReader,
    found: UnmappedFields,
}

impl UnmappedFinder {
    /// A finder that has seen nothing of payloads of this format.
    pub fn new(mapped: Arc<MappedFields>, format: &MessageFormat) -> Self {
        Self {
            mapped,
            reader: DocumentReader::new(format),
            found: UnmappedFields::default(),
        }
    }

    /// Looks at one payload. One that is no JSON text does not count.
    pub fn observe(&mut self, payload: &[u8]) {
        let Self {
            mapped,
            reader,
            found,
        } = self;
        let mut walk = Walk {
            paths: BTreeSet::new(),
            cut: false,
        };
        let read = reader.read(payload, |document| {
            walk.look(document, 0, &mapped.top, &mut Vec::new());
        });
        if read.is_none() {
            return;
        }
        found.messages += 1;
        found.more |= walk.cut;
        for path in &walk.paths {
            found.count(path, 1);
        }
        reader.shrink();
    }

    /// What was found since the last call.
    pub fn take(&mut self) -> UnmappedFields {
        mem::take(&mut self.found)
    }
}

/// The fields of one payload without a column.
struct Walk {
    paths: BTreeSet<String>,
    cut: bool,
}

impl Walk {
    /// Looks at the object at `node`, which `way` leads to. Recursion goes as deep as the job's longest path.
    fn look(
        &mut self,
        document: Document<'_>,
        node: usize,
        mapped: &MappedField,
        way: &mut Vec<Step>,
    ) {
        let Some(Node::Object { len, .. }) = document.tape.get(node) else {
            return;
        };
        let mut key = node + 1;
        for _ in 0..*len {
            let tape = document.tape;
            let (Some(Node::String(name)), Some(value)) = (tape.get(key), tape.get(key + 1)) else {
                return;
            };
            match mapped.below.get(*name) {
                Some(MappedField { whole: true, .. }) => {}
                Some(below) => {
                    way.push(Step::Key((*name).to_owned()));
                    self.look(document, key + 1, below, way);
                    way.pop();
                }
                None if name.len() > SAMPLE_KEY_BYTES_MAX => self.cut = true,
                None => {
                    let last = Step::Key((*name).to_owned());
                    let steps: Vec<Step> = way.iter().cloned().chain([last]).collect();
                    let path = FieldPath::from(steps).to_string();
                    if self.paths.len() < PATHS_MAX {
                        self.paths.insert(path);
                    } else if !self.paths.contains(&path) {
                        self.cut = true;
                    }
                }
            }
            key += 1 + extent(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use engine_model::MetadataField;
    use engine_model::limits::UNMAPPED_FIELDS_MAX;
    use proptest::prelude::*;

    use super::*;

    fn mapped(paths: &[&str]) -> Option<MappedFields> {
        let mapping = |path: &&str| {
            let source = match MetadataField::from_name(path) {
                Some(field) => ColumnSource::Metadata(field),
                None => ColumnSource::Path(path.parse().unwrap()),
            };
            ColumnMapping::new(*path, source)
        };
        MappedFields::new(&paths.iter().map(mapping).collect::<Vec<_>>())
    }

    fn finder(paths: &[&str]) -> UnmappedFinder {
        UnmappedFinder::new(Arc::new(mapped(paths).unwrap()), &MessageFormat::default())
    }

    #[test]
    fn a_key_that_comes_again_hides_no_other() {
        let mut finder = finder(&["a"]);
        let payload = format!("{{{}\"y\":1}}", "\"x\":0,".repeat(2 * PATHS_MAX));
        finder.observe(payload.as_bytes());
        let found = finder.take();
        let fields: Vec<_> = found.fields.keys().map(String::as_str).collect();
        assert_eq!((fields, found.more), (vec!["x", "y"], false));
    }

    #[test]
    fn fields_without_a_column_are_named_at_their_uppermost() {
        let mut finder = finder(&["user.id", "order", "items[0].sku", "['a.b'].c", "__value__"]);
        finder.observe(
            br#"{"user":{"id":1,"vip":true,"vip":false},"order":{"any":1},"items":[{"qty":2}],"a.b":{"c":1,"d":2},
                "coupon":{"code":"x"}}"#,
        );
        finder.observe(br#"{"user":7,"coupon":null}"#);
        finder.observe(b"[1]");
        finder.observe(b"no JSON");
        let found = finder.take();
        assert_eq!((found.messages, found.more), (3, false));
        let expected = [("coupon", 2), ("['a.b'].d", 1), ("user.vip", 1)];
        assert_eq!(found.by_messages(), expected);
        assert!(finder.take().is_empty());
    }

    #[test]
    fn without_paths_or_with_the_whole_there_is_nothing_to_find() {
        assert!(mapped(&["__value__", "__key__"]).is_none());
        assert!(mapped(&["a", "$"]).is_none());
        assert!(mapped(&["[0]"]).is_none());
        assert!(mapped(&["a"]).is_some());
    }

    #[test]
    fn names_are_bounded() {
        let mut finder = finder(&["a"]);
        let fields: Vec<String> = (0..200).map(|number| format!("\"f{number}\":0")).collect();
        finder.observe(format!("{{{}}}", fields.join(",")).as_bytes());
        let found = finder.take();
        assert_eq!(
            (found.fields.len(), found.more),
            (UNMAPPED_FIELDS_MAX, true)
        );
        finder.observe(format!("{{\"{}\":0}}", "k".repeat(SAMPLE_KEY_BYTES_MAX + 1)).as_bytes());
        let found = finder.take();
        assert_eq!((found.fields.len(), found.more), (0, true));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]\\{\\}:,\"a0 ]{0,60}".prop_map(String::into_bytes),
        ]) {
            let mut finder = finder(&["a.a", "0"]);
            finder.observe(&payload);
            prop_assert!(finder.take().messages <= 1);
        }
    }
}
