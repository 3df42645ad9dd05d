//! The job's `parameters`, each with its own findings.

use std::collections::HashSet;

use crate::params::{
    NoteKind, ParamError, ParamErrorKind, Parameters, ScheduledTime, Value, Values, lint, parse,
};

use super::walk::{Field, Section, Walk};
use super::yaml;

/// More parameters than any job has use for.
const PARAMETERS_MAX: usize = 1_000;

/// The values of a job's parameters, and the names of those that have none.
#[derive(Default)]
pub(super) struct ParameterTable {
    pub(super) values: Values,
    failed: HashSet<String>,
    /// The start of the window, where `${window.…}` may be written.
    pub(super) window_start: Option<ScheduledTime>,
}

/// What `${name}` stands for.
pub(super) enum Lookup<'t> {
    Value(&'t Value),
    /// It is declared and has no value, which is a finding already.
    Failed,
    Unknown,
}

impl ParameterTable {
    pub(super) fn lookup(&self, name: &str) -> Lookup<'_> {
        if self.failed.contains(name) {
            return Lookup::Failed;
        }
        self.values.get(name).map_or(Lookup::Unknown, Lookup::Value)
    }

    /// The names that can be referred to.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name)
    }

    /// A table of texts.
    #[cfg(test)]
    pub(super) fn of(values: &[(&str, &str)]) -> Self {
        let names = values.iter().map(|(name, _)| (*name, ""));
        let set: Vec<(String, String)> = values
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let at = ScheduledTime::parse("2026-11-23T00:15:00Z", &jiff::tz::TimeZone::UTC).unwrap();
        let values = Parameters::new(names)
            .unwrap()
            .resolve(&at, &set, &|_| None)
            .unwrap();
        Self {
            values,
            ..Self::default()
        }
    }
}

/// A parameter as declared. Its expression becomes empty once it has a finding, so that the others can go on.
struct Declared<'n> {
    name: &'n str,
    expression: String,
    field: Field<'n>,
}

impl Walk<'_> {
    /// Reads the parameters below `section` and computes them; `set` holds values that win over the expressions.
    pub(super) fn resolve_parameters(
        &mut self,
        section: &Section<'_>,
        at: &ScheduledTime,
        set: &[(String, String)],
    ) {
        let mut failed = HashSet::new();
        let mut declared = self.declared(section, &mut failed);
        let known = |name: &String| section.get(name).is_some();
        let set: Vec<(String, String)> = set
            .iter()
            .filter(|(name, _)| known(name))
            .cloned()
            .collect();
        // Each turn ends the loop or takes one expression out.
        for _ in 0..=declared.len() {
            let pairs = declared.iter().map(|d| (d.name, d.expression.as_str()));
            let result = Parameters::new(pairs)
                .and_then(|parameters| parameters.resolve(at, &set, self.environment));
            match result {
                Ok(values) => {
                    self.parameters = ParameterTable {
                        values,
                        failed,
                        window_start: None,
                    };
                    return;
                }
                Err(error) => {
                    let owner = error.parameter().unwrap_or_default();
                    let Some(one) = declared.iter_mut().find(|d| d.name == owner) else {
                        break;
                    };
                    // A reference to a parameter that was taken out for its name has that finding already.
                    let follows = error.kind() == ParamErrorKind::UnknownParameter
                        && failed.contains(error.found());
                    if !follows {
                        self.error(&one.field, without_name(&error));
                    }
                    failed.insert(one.name.to_owned());
                    one.expression.clear();
                }
            }
        }
        failed.extend(declared.iter().map(|d| d.name.to_owned()));
        self.parameters = ParameterTable {
            values: Values::default(),
            failed,
            window_start: None,
        };
    }

    /// The parameters with a good name and an expression that can be read; the names of the others go to `failed`.
    fn declared<'n>(
        &mut self,
        section: &Section<'n>,
        failed: &mut HashSet<String>,
    ) -> Vec<Declared<'n>> {
        let mut declared = Vec::new();
        for (position, (name, place, field)) in section.fields().enumerate() {
            if position == PARAMETERS_MAX {
                let message = format!("more than {PARAMETERS_MAX} parameters; take some out");
                self.error(&field, message);
                break;
            }
            if let Err(error) = Parameters::new([(name, "")]) {
                let key = Field { place, ..field };
                self.error(&key, error.to_string());
                failed.insert(name.to_owned());
                continue;
            }
            let expression = match field.value {
                yaml::Value::Scalar(scalar) if !scalar.is_null() => scalar.text.clone(),
                other => {
                    let kind = other.kind();
                    let message = format!(
                        "found {kind} where an expression is expected; write one such as `$[yyyymmdd-1]`, or `\"\"`"
                    );
                    self.error(&field, message);
                    failed.insert(name.to_owned());
                    String::new()
                }
            };
            let expression = match parse(&expression) {
                Ok(parsed) => {
                    for note in lint(&parsed) {
                        // Portability to the service is for those who export a job, not for those who run it.
                        if note.kind != NoteKind::NotPortable {
                            self.warning(&field, note.text);
                        }
                    }
                    expression
                }
                Err(error) => {
                    self.error(&field, without_name(&error));
                    failed.insert(name.to_owned());
                    String::new()
                }
            };
            declared.push(Declared {
                name,
                expression,
                field,
            });
        }
        declared
    }
}

/// The error's text; the finding's path names the parameter already.
fn without_name(error: &ParamError) -> String {
    let text = error.to_string();
    let prefix = error
        .parameter()
        .map(|name| format!("parameter \"{name}\": "));
    match prefix.and_then(|prefix| text.strip_prefix(&prefix).map(str::to_owned)) {
        Some(rest) => rest,
        None => text,
    }
}
