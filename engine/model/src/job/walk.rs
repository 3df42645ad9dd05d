//! Walking the tree of a job file: sections with known keys, texts with their references replaced, and a finding for
//! everything that isn't as it should be.

use std::sync::Arc;

use crate::finding::{Finding, Severity};
use crate::limits::NAME_BYTES_MAX;

use super::parameters::ParameterTable;
use super::substitute::{self, Substituted};
use super::yaml::{Entry, Node, Place, Value};

/// Longest part of a value that a finding shows, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// A value of the file, with its way from the top.
#[derive(Clone)]
pub(super) struct Field<'n> {
    pub(super) file: &'n Arc<str>,
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) value: &'n Value,
}

/// A mapping whose keys are known.
#[derive(Clone)]
pub(super) struct Section<'n> {
    pub(super) field: Field<'n>,
    entries: &'n [Entry],
}

/// A scalar whose references are replaced. Its text may come from the environment, so findings use [`Text::shown`].
pub(super) struct Text {
    pub(super) text: String,
    /// Some of it comes from the environment.
    pub(super) opaque: bool,
}

/// What a check needs at hand, and what it has found.
pub(super) struct Walk<'a> {
    pub(super) parameters: ParameterTable,
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) findings: Vec<Finding>,
}

impl<'n> Field<'n> {
    pub(super) fn root(file: &'n Arc<str>, node: &'n Node) -> Self {
        Self {
            file,
            path: String::new(),
            place: node.place,
            value: &node.value,
        }
    }

    /// The value of one of this mapping's entries.
    pub(super) fn child(&self, entry: &'n Entry) -> Self {
        Self {
            file: self.file,
            path: join(&self.path, &entry.key),
            // A value that isn't there has no place of its own.
            place: if entry.value.value.is_null() {
                entry.place
            } else {
                entry.value.place
            },
            value: &entry.value.value,
        }
    }

    /// The elements, with `[n]` at the end of their paths; nothing for a value that is no list.
    pub(super) fn elements(&self) -> Option<Vec<Self>> {
        let Value::List(nodes) = self.value else {
            return None;
        };
        let element = |(position, node): (usize, &'n Node)| Self {
            file: self.file,
            path: format!("{}[{position}]", self.path),
            place: node.place,
            value: &node.value,
        };
        Some(nodes.iter().enumerate().map(element).collect())
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

impl<'n> Section<'n> {
    /// The section that `field` is; nothing for a value that is no mapping.
    pub(super) fn of(field: &Field<'n>) -> Option<Self> {
        let Value::Mapping(entries) = field.value else {
            return None;
        };
        Some(Self {
            field: field.clone(),
            entries,
        })
    }

    /// The value of `key`, if the section has it.
    pub(super) fn get(&self, key: &str) -> Option<Field<'n>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.field.child(entry))
    }

    /// Keys, their places and values, in the file's order.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'n str, Place, Field<'n>)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.key.as_str(), entry.place, self.field.child(entry)))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Text {
    /// The text for a finding: quoted and cut, or not at all when it comes from the environment.
    pub(super) fn shown(&self) -> String {
        if self.opaque {
            "the value from the environment".to_owned()
        } else {
            shown(&self.text)
        }
    }
}

/// `text` in quotes, cut where it is long.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// The nearest of `names`, unless none is near. Case makes no difference.
pub fn nearest<'k>(name: &str, names: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = name.to_lowercase();
    names
        .into_iter()
        .map(|other| {
            (
                strsim::damerau_levenshtein(&name, &other.to_lowercase()),
                other,
            )
        })
        .min()
        // Beyond a third of the letters a suggestion is a guess; one slip is allowed in short names.
        .filter(|(distance, other)| *distance <= (other.chars().count() / 3).max(1))
        .map(|(_, other)| other)
}

/// Names for a list: `` `a`, `b`, `c` ``.
pub(super) fn listed<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// Names for a sentence: `` `a`, `b` or `c` ``.
pub(super) fn either<'k>(names: impl IntoIterator<Item = &'k str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} or {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

impl Walk<'_> {
    pub(super) fn error(&mut self, field: &Field<'_>, message: impl Into<String>) {
        self.add(Severity::Error, field, message.into());
    }

    pub(super) fn warning(&mut self, field: &Field<'_>, message: impl Into<String>) {
        self.add(Severity::Warning, field, message.into());
    }

    fn add(&mut self, severity: Severity, field: &Field<'_>, message: String) {
        self.findings.push(Finding {
            severity,
            file: Arc::clone(field.file),
            line: field.place.line,
            column: field.place.column,
            path: field.path.clone(),
            message,
        });
    }

    /// The value of `key`, which must be there.
    pub(super) fn required<'n>(
        &mut self,
        section: &Section<'n>,
        key: &str,
        advice: &str,
    ) -> Option<Field<'n>> {
        let found = section.get(key);
        if found.is_none() {
            let mut field = section.field.clone();
            field.path = join(&field.path, key);
            self.error(&field, format!("is missing; {advice}"));
        }
        found
    }

    /// Reads a mapping, whose keys must be among `known`.
    pub(super) fn section<'n>(&mut self, field: &Field<'n>, known: &[&str]) -> Option<Section<'n>> {
        let section = self.mapping(field)?;
        for (key, place, value) in section.fields() {
            if known.contains(&key) {
                continue;
            }
            let hint = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", listed(known.iter().copied())),
            };
            let unknown = Field { place, ..value };
            self.error(&unknown, format!("is no key that is known here; {hint}"));
        }
        Some(section)
    }

    /// Reads a mapping with keys of the user's choice.
    pub(super) fn mapping<'n>(&mut self, field: &Field<'n>) -> Option<Section<'n>> {
        let section = Section::of(field);
        if section.is_none() {
            let kind = field.value.kind();
            let message =
                format!("found {kind} where keys are expected; write `key: value` lines under it");
            self.error(field, message);
        }
        section
    }

    /// Reads the mapping at `key`, which must be there.
    pub(super) fn required_section<'n>(
        &mut self,
        section: &Section<'n>,
        key: &str,
        known: &[&str],
    ) -> Option<Section<'n>> {
        let keys = listed(known.iter().copied());
        let field = self.required(section, key, &format!("add it; its keys: {keys}"))?;
        self.section(&field, known)
    }

    /// Reads a scalar and replaces its references. Nothing, and a finding, for other values and for references that
    /// lead nowhere.
    pub(super) fn text(&mut self, field: &Field<'_>) -> Option<Text> {
        let Value::Scalar(scalar) = field.value else {
            let kind = field.value.kind();
            self.error(
                field,
                format!("found {kind} where a single value is expected"),
            );
            return None;
        };
        if scalar.is_null() {
            let message =
                "has no value; write one, in quotes if it is empty or `null`, or take the key out";
            self.error(field, message);
            return None;
        }
        match substitute::substitute(&scalar.text, &self.parameters, self.environment) {
            Ok(Substituted::Text(text)) => Some(text),
            // The parameter has its own finding.
            Ok(Substituted::Unusable) => None,
            Err(message) => {
                self.error(field, message);
                None
            }
        }
    }

    /// [`Walk::text`] for a secret, of which no finding may show a part: not even of what looks like a reference.
    pub(super) fn secret_text(&mut self, field: &Field<'_>) -> Option<Text> {
        let before = self.findings.len();
        let text = self.text(field);
        let written = match field.value {
            Value::Scalar(scalar) => scalar.text.as_str(),
            Value::List(_) | Value::Mapping(_) => "",
        };
        let only_reference =
            written.starts_with("${") && written.find('}') == Some(written.len() - 1);
        if text.is_none() && !written.is_empty() && !only_reference {
            self.findings.truncate(before);
            let message = "holds `$` with a bracket or a time expression's name that is no reference; take the whole \
                           value from the environment, as `${env.NAME}`";
            self.error(field, message);
        }
        text
    }

    /// Reads a scalar that ends up in rows, names or reports, and so must not come from the environment.
    pub(super) fn open_text(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.text(field)?;
        if text.opaque {
            let message = "comes from the environment, whose values are kept out of reports and fingerprints, and this \
                           one belongs in both; write it out, or declare a parameter and set it from outside";
            self.error(field, message);
            return None;
        }
        Some(text.text)
    }

    /// Reads one of `choices`; `default` where the key isn't there or the value isn't among them.
    pub(super) fn choice<T: Clone>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        self.chosen(section.get(key), choices, default)
    }

    /// The same for a field that was looked up already.
    pub(super) fn chosen<T: Clone>(
        &mut self,
        field: Option<Field<'_>>,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(field) = field else {
            return default;
        };
        let Some(text) = self.open_text(&field) else {
            return default;
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return value.clone();
        }
        let names = || choices.iter().map(|(name, _)| *name);
        let hint = match nearest(&text, names()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        let message = format!(
            "{} is not among the values that this version knows: {}{hint}",
            shown(&text),
            either(names())
        );
        self.error(&field, message);
        default
    }
}
