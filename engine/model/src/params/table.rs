//! A job's parameters, together: references between them, values set from outside, and the environment.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::error::{ParamError, ParamErrorKind};
use super::evaluate::write_part;
use super::expression::{BuiltIn, Expression, Part, Term};
use super::parse::{is_name, looks_like_format, parse};
use super::scheduled_time::ScheduledTime;

#[cfg(test)]
mod tests;

/// The longest value of a parameter, in bytes. Far above any partition value or bound; it stops parameters that double
/// each other, and environment variables that hold whole files.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// A job's parameters in the order of the job file: names, and the expressions that they stand for.
///
/// ```
/// use engine_model::params::{Parameters, ScheduledTime};
/// use jiff::tz::TimeZone;
///
/// let parameters = Parameters::new([
///     ("startTime", "${partition}000000"),
///     ("endTime", "$[yyyymmdd]000000"),
///     ("partition", "$[yyyymmdd-1]"),
/// ])?;
/// let at = ScheduledTime::parse("2022-11-22T00:05:00", &TimeZone::UTC)?;
/// let values = parameters.resolve(&at, &[], &|_| None)?;
/// assert_eq!(values.get("startTime").map(|value| value.text()), Some("20221121000000"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    entries: Vec<(String, Expression)>,
    /// Positions in `entries`, each behind those that it refers to.
    order: Vec<usize>,
}

/// What a parameter has become for one scheduled time.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    text: String,
    from_environment: bool,
}

/// The values of all parameters, in the order of the job file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    entries: Vec<(String, Value)>,
}

impl Value {
    /// The value. If it is [from the environment](Self::from_environment), keep it out of reports, errors and
    /// fingerprints.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether any of it came from the environment, directly or through other parameters.
    pub fn from_environment(&self) -> bool {
        self.from_environment
    }
}

impl fmt::Debug for Value {
    /// Hides what comes from the environment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from_environment {
            f.write_str("<from the environment>")
        } else {
            self.text.fmt(f)
        }
    }
}

impl Values {
    /// The value of the parameter `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter()
            .find_map(|(other, value)| (other == name).then_some(value))
    }

    /// Names and values, in the order of the job file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }
}

impl Parameters {
    /// Reads names and expressions, and checks their names and references.
    ///
    /// A name is a letter or `_`, followed by letters, digits, `_`, `.` and `-`. Names that are dates where they are
    /// used, such as `yyyymmdd` or `mm-dd`, and names that begin with `env.` or `bdp.system.` are refused.
    ///
    /// # Errors
    ///
    /// A [`ParamError`] about the first parameter that can't be read, has a refused or repeated name, refers to one
    /// that isn't there, or to itself through others.
    pub fn new<N: Into<String>, E: AsRef<str>>(
        parameters: impl IntoIterator<Item = (N, E)>,
    ) -> Result<Self, ParamError> {
        let mut entries: Vec<(String, Expression)> = Vec::new();
        let mut positions = HashMap::new();
        for (name, text) in parameters {
            let name = name.into();
            check_name(&name)?;
            let expression = parse(text.as_ref()).map_err(|error| error.in_parameter(&name))?;
            if positions.insert(name.clone(), entries.len()).is_some() {
                let advice = "keep one of the two";
                return Err(ParamError::new(ParamErrorKind::Duplicate, 0, name, advice));
            }
            entries.push((name, expression));
        }
        let references = references(&entries, &positions)?;
        let order = dependency_order(&entries, &references)?;
        Ok(Self { entries, order })
    }

    /// Names and expressions, in the order of the job file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Expression)> {
        self.entries
            .iter()
            .map(|(name, expression)| (name.as_str(), expression))
    }

    /// Computes all values for one scheduled time.
    ///
    /// `set` holds values given from outside, by name: they win over the expression, are taken as they are, and the
    /// last one of a name counts. `environment` looks a variable up; it is asked only for what is used.
    ///
    /// # Errors
    ///
    /// A [`ParamError`] about the first value that can't be computed, a variable that isn't set, or a name in `set`
    /// that no parameter has.
    pub fn resolve(
        &self,
        at: &ScheduledTime,
        set: &[(String, String)],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Values, ParamError> {
        let set = self.check_set(set)?;
        let mut values: HashMap<&str, Value> = HashMap::new();
        for &position in &self.order {
            let Some((name, expression)) = self.entries.get(position) else {
                continue;
            };
            let value = match set.get(name.as_str()) {
                Some(text) => Value {
                    text: (*text).to_owned(),
                    from_environment: false,
                },
                None => compute(expression, at, &values, environment)
                    .map_err(|error| error.in_parameter(name))?,
            };
            values.insert(name, value);
        }
        let entries = self.entries.iter();
        let entries = entries
            .filter_map(|(name, _)| Some((name.clone(), values.remove(name.as_str())?)))
            .collect();
        Ok(Values { entries })
    }

    fn check_set<'s>(
        &self,
        set: &'s [(String, String)],
    ) -> Result<BTreeMap<&'s str, &'s str>, ParamError> {
        for (name, _) in set {
            if !self.entries.iter().any(|(other, _)| other == name) {
                let names = self.entries.iter().map(|(other, _)| other.as_str());
                return Err(unknown(name, 0, names));
            }
        }
        Ok(set
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect())
    }
}

fn check_name(name: &str) -> Result<(), ParamError> {
    let advice = if ["env.", "window.", "bdp.system."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    {
        "choose one that does not begin with `env.`, `window.` or `bdp.system.`"
    } else if looks_like_format(name) {
        "choose one that is no date format, for `${…}` around it would be a date"
    } else if !is_name(name) {
        "begin with a letter or `_`, and go on with letters, digits, `_`, `.` and `-`"
    } else {
        return Ok(());
    };
    Err(ParamError::new(ParamErrorKind::Name, 0, name, advice))
}

/// For each parameter the positions of those that it refers to.
fn references(
    entries: &[(String, Expression)],
    positions: &HashMap<String, usize>,
) -> Result<Vec<Vec<usize>>, ParamError> {
    let mut all = Vec::with_capacity(entries.len());
    for (name, expression) in entries {
        let mut own = Vec::new();
        for part in &expression.parts {
            let Term::Reference(reference) = &part.term else {
                continue;
            };
            let position = positions.get(reference).ok_or_else(|| {
                let names = entries.iter().map(|(other, _)| other.as_str());
                unknown(reference, part.span.start, names)
                    .in_expression(&expression.source)
                    .in_parameter(name)
            })?;
            own.push(*position);
        }
        all.push(own);
    }
    Ok(all)
}

fn unknown<'n>(name: &str, position: usize, names: impl Iterator<Item = &'n str>) -> ParamError {
    let nearest = names
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .min()
        // Beyond a third of the letters a suggestion is a guess.
        .filter(|(distance, _)| distance * 3 <= name.chars().count());
    let built_in = BuiltIn::NAMES.iter().any(|(other, _)| *other == name);
    let advice = match nearest {
        _ if built_in => format!("write `${name}` for the built-in, or declare it"),
        Some((_, other)) => format!("did you mean `{other}`"),
        None => "declare it under `parameters`".to_owned(),
    };
    ParamError::new(ParamErrorKind::UnknownParameter, position, name, advice)
}

/// Positions so that each stands behind those that it refers to. Works off a list, for a chain of references can be as
/// long as the job file.
fn dependency_order(
    entries: &[(String, Expression)],
    references: &[Vec<usize>],
) -> Result<Vec<usize>, ParamError> {
    let mut waiting: Vec<usize> = references.iter().map(Vec::len).collect();
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); entries.len()];
    for (user, used) in references.iter().enumerate() {
        for &position in used {
            users[position].push(user);
        }
    }
    let mut order: Vec<usize> = (0..entries.len())
        .filter(|position| waiting[*position] == 0)
        .collect();
    let mut done = 0;
    while let Some(&position) = order.get(done) {
        done += 1;
        for &user in &users[position] {
            waiting[user] -= 1;
            if waiting[user] == 0 {
                order.push(user);
            }
        }
    }
    match waiting.iter().position(|count| *count > 0) {
        None => Ok(order),
        Some(stuck) => Err(cycle(entries, references, &waiting, stuck)),
    }
}

/// Every parameter that still waits refers to another that waits, so following them must come back to one.
fn cycle(
    entries: &[(String, Expression)],
    references: &[Vec<usize>],
    waiting: &[usize],
    stuck: usize,
) -> ParamError {
    let mut path = vec![stuck];
    let mut current = stuck;
    while let Some(&next) = references[current].iter().find(|next| waiting[**next] > 0) {
        let seen = path.iter().position(|position| *position == next);
        path.push(next);
        if let Some(seen) = seen {
            path.drain(..seen);
            break;
        }
        current = next;
    }
    let names: Vec<&str> = path
        .iter()
        .map(|position| entries[*position].0.as_str())
        .collect();
    let advice = format!("break the circle {}", names.join(" → "));
    let (name, expression) = &entries[path[0]];
    let next = names.get(1).copied();
    let place = expression.parts.iter().find(|part| match &part.term {
        Term::Reference(reference) => Some(reference.as_str()) == next,
        _ => false,
    });
    let place = place.map_or(0, |part| part.span.start);
    ParamError::new(ParamErrorKind::Cycle, place, name, advice)
        .in_expression(&expression.source)
        .in_parameter(name)
}

fn compute(
    expression: &Expression,
    at: &ScheduledTime,
    values: &HashMap<&str, Value>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Value, ParamError> {
    let mut value = Value {
        text: String::new(),
        from_environment: false,
    };
    let error = |kind, part: &Part, found: &str, advice: &str| {
        ParamError::new(kind, part.span.start, found, advice).in_expression(&expression.source)
    };
    for part in &expression.parts {
        match &part.term {
            Term::Reference(name) => {
                let other = values.get(name.as_str()).ok_or_else(|| {
                    let advice = "declare it under `parameters`";
                    error(ParamErrorKind::UnknownParameter, part, name, advice)
                })?;
                value.from_environment |= other.from_environment;
                value.text.push_str(&other.text);
            }
            Term::Environment(name) => {
                let text = environment(name).ok_or_else(|| {
                    let advice = "set the variable for this process";
                    error(ParamErrorKind::EnvironmentUnset, part, name, advice)
                })?;
                value.from_environment = true;
                value.text.push_str(&text);
            }
            _ => write_part(expression, part, at, &mut value.text)?,
        }
        if value.text.len() > VALUE_BYTES_MAX {
            let advice = format!("keep it within {VALUE_BYTES_MAX} bytes");
            let found = expression.text(part);
            return Err(error(ParamErrorKind::TooLong, part, found, &advice));
        }
    }
    Ok(value)
}
