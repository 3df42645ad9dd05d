//! `columns`: where the value of each table column comes from, as far as it can be told without the table.

use std::collections::HashMap;

use jiff::fmt::strtime;

use crate::limits::{COLUMNS_MAX, NAME_BYTES_MAX};
use crate::{
    ColumnMapping, ColumnSource, FieldPath, MetadataField, PayloadType, Rounding, Step, TimeUnit,
    ValueFormat,
};

use super::walk::{Field, Section, Walk, either, nearest, shown};
use super::yaml::Value;

const FORMATS: [(&str, ValueFormat); 5] = [
    ("epoch_s", ValueFormat::Epoch(TimeUnit::S)),
    ("epoch_ms", ValueFormat::Epoch(TimeUnit::Ms)),
    ("epoch_us", ValueFormat::Epoch(TimeUnit::Us)),
    ("epoch_ns", ValueFormat::Epoch(TimeUnit::Ns)),
    ("base64", ValueFormat::Base64),
];

const ROUNDINGS: [(&str, Option<Rounding>); 2] = [
    ("half_up", Some(Rounding::HalfUp)),
    ("down", Some(Rounding::Down)),
];

/// Says in words where `path` leads; one that holds a dot is worth it, as `a.b` is often meant for a key `a.b`.
///
/// ```
/// use engine_model::job::explain_path;
///
/// let path = "items[0].sku".parse()?;
/// assert_eq!(
///     explain_path(&path),
///     "`items[0].sku` is the field `sku` within element 0, counted from 0, within the field `items`; a key that \
///      itself holds a dot stands in quotes, as in `['a.b']`"
/// );
/// # Ok::<(), engine_model::FieldPathError>(())
/// ```
pub fn explain_path(path: &FieldPath) -> String {
    let step = |step: &Step| match step {
        Step::Key(name) => format!("the field `{name}`"),
        Step::Index(index) => format!("element {index}, counted from 0,"),
    };
    let steps: Vec<String> = path.steps().iter().rev().map(step).collect();
    let words = steps.join(" within ");
    let words = words.strip_suffix(',').unwrap_or(&words);
    if words.is_empty() {
        return format!("`{path}` is the payload as a whole");
    }
    let keys = path
        .steps()
        .iter()
        .filter(|step| matches!(step, Step::Key(_)));
    let dots = if keys.count() > 1 {
        "; a key that itself holds a dot stands in quotes, as in `['a.b']`"
    } else {
        ""
    };
    format!("`{path}` is {words}{dots}")
}

/// Whether a pattern can write a time and read it again, or what keeps it from that.
fn try_pattern(pattern: &str) -> Result<(), String> {
    let mut directives: Vec<char> = Vec::new();
    let mut parts = pattern.split('%').skip(1);
    while let Some(part) = parts.next() {
        // Flags, a width and colons come before the letter.
        let letter = part
            .chars()
            .find(|c| c.is_ascii_alphabetic() || c.is_whitespace());
        match letter {
            // Two `%` are one in the text.
            None if part.is_empty() => drop(parts.next()),
            Some(letter @ ('Q' | 's')) => {
                return Err(format!(
                    "`%{letter}` is not read: write offsets as `%z`, and seconds since 1970 as `format: epoch_s`"
                ));
            }
            Some(letter) if directives.contains(&letter) => {
                return Err(format!("`%{letter}` is in it twice"));
            }
            Some(letter) => directives.push(letter),
            None => {}
        }
    }
    let example = jiff::civil::date(2026, 11, 22)
        .at(22, 33, 44, 0)
        .to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let read = example.and_then(|example| {
        let text = strtime::format(pattern, &example)?;
        strtime::parse(pattern, text)?.to_datetime()
    });
    read.map(drop).map_err(|error| error.to_string())
}

impl Walk<'_> {
    pub(super) fn columns(
        &mut self,
        section: &Section<'_>,
        payload: &PayloadType,
    ) -> Vec<ColumnMapping> {
        let advice = "map each table column: `order_id: order.id`";
        let Some(field) = self.required(section, "columns", advice) else {
            return Vec::new();
        };
        let Some(columns) = self.mapping(&field) else {
            return Vec::new();
        };
        if columns.len() == 0 || columns.len() > COLUMNS_MAX {
            let found = columns.len();
            let message = format!(
                "maps {found} columns, and a table has 1 to {COLUMNS_MAX}; map those to load"
            );
            self.error(&field, message);
            return Vec::new();
        }
        let mut mappings: Vec<ColumnMapping> = Vec::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut sources: HashMap<ColumnSource, String> = HashMap::new();
        for (name, place, field) in columns.fields() {
            let key = Field {
                place,
                ..field.clone()
            };
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains(['`', '$', '\n']) {
                let message = format!(
                    "{} is no column's name; write 1 to {NAME_BYTES_MAX} bytes, without quotes and references",
                    shown(name)
                );
                self.error(&key, message);
            }
            if let Some(line) = names.insert(name.to_lowercase(), place.line) {
                let message =
                    format!("is mapped already on line {line}, for columns have no case; keep one");
                self.error(&key, message);
            }
            let Some(mapping) = self.column(name, &field, payload) else {
                continue;
            };
            if !matches!(mapping.source, ColumnSource::Constant(_))
                && let Some(first) = sources.insert(mapping.source.clone(), name.to_owned())
            {
                let message = format!(
                    "`{}` is mapped to `{first}` already, and a source goes to one column; take one out",
                    mapping.source
                );
                self.error(&field, message);
            }
            mappings.push(mapping);
        }
        mappings
    }

    fn column(
        &mut self,
        name: &str,
        field: &Field<'_>,
        payload: &PayloadType,
    ) -> Option<ColumnMapping> {
        if let Value::Scalar(_) = field.value {
            let source = self.source(field, payload)?;
            return Some(ColumnMapping::new(name, source));
        }
        let section = self.section(field, &["from", "format", "round", "value"])?;
        let format = section
            .get("format")
            .and_then(|format| self.value_format(&format));
        let rounding = self.choice(&section, "round", &ROUNDINGS, None);
        match (section.get("from"), section.get("value")) {
            (Some(from), None) => {
                let source = self.source(&from, payload)?;
                if let (Some(format), ColumnSource::Metadata(field)) =
                    (section.get("format"), &source)
                    && !matches!(field, MetadataField::Key | MetadataField::Value)
                {
                    let message = format!(
                        "is for keys, payloads and their fields, and `{field}` is none; take it out"
                    );
                    self.error(&format, message);
                }
                Some(ColumnMapping {
                    column: name.to_owned(),
                    source,
                    format,
                    rounding,
                })
            }
            (None, Some(value)) => {
                for key in ["format", "round"] {
                    if let Some(field) = section.get(key) {
                        self.error(
                            &field,
                            "goes with `from`, and this column is a constant; take it out",
                        );
                    }
                }
                if value.value.is_null() {
                    let message = "is null; leave the column out to have NULL in it, or write \"\" for an empty text";
                    self.error(&value, message);
                    return None;
                }
                let constant = ColumnSource::Constant(self.open_text(&value)?);
                Some(ColumnMapping::new(name, constant))
            }
            (Some(_), Some(value)) => {
                self.error(
                    &value,
                    "stands beside `from`; a column has one source, keep one of the two",
                );
                None
            }
            (None, None) => {
                self.error(
                    field,
                    "has no source; write `from: path` or `value: constant`",
                );
                None
            }
        }
    }

    fn value_format(&mut self, field: &Field<'_>) -> Option<ValueFormat> {
        let text = self.open_text(field)?;
        if let Some((_, format)) = FORMATS.iter().find(|(name, _)| *name == text) {
            return Some(format.clone());
        }
        if text.contains('%') {
            if let Err(error) = try_pattern(&text) {
                let message = format!(
                    "{} does not read a date, or not all of one: {error}; write it as for `strptime`, such as \
                     `%Y%m%d%H%M%S`",
                    shown(&text)
                );
                self.error(field, message);
            }
            return Some(ValueFormat::Pattern(text));
        }
        let names = || FORMATS.iter().map(|(name, _)| *name);
        let hint = match nearest(&text, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "other dates are read by patterns such as `%d/%m/%Y %H:%M:%S`".to_owned(),
        };
        let message = format!(
            "{} is no format; write {}; {hint}",
            shown(&text),
            either(names())
        );
        self.error(field, message);
        None
    }

    fn source(&mut self, field: &Field<'_>, payload: &PayloadType) -> Option<ColumnSource> {
        let text = self.open_text(field)?;
        if let Some(metadata) = MetadataField::from_name(&text) {
            return Some(ColumnSource::Metadata(metadata));
        }
        let quote = text.chars().find(|c| matches!(c, '\'' | '"' | '`'));
        if let Some(quote) = quote.filter(|_| !text.contains("['")) {
            let message = format!(
                "{} holds {quote:?}, which no field path does: a constant is written `{{ value: … }}`, and a key that \
                 holds a dot or a quote `['a.b']`",
                shown(&text)
            );
            self.error(field, message);
            return None;
        }
        let path: FieldPath = match text.parse() {
            Ok(path) => path,
            Err(error) => {
                self.error(
                    field,
                    format!(
                        "{error}; write `a.b` for b within a, and `c[0]` for the first element of c"
                    ),
                );
                return None;
            }
        };
        let names = || MetadataField::ALL.into_iter().map(MetadataField::name);
        if text.starts_with("__") && text.ends_with("__") {
            let hint = match nearest(&text, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the message's own are {}", either(names())),
            };
            self.warning(
                field,
                format!("reads a field of the payload with the name `{text}`; {hint}"),
            );
        }
        if !payload.has_fields() {
            let message = format!(
                "{} is a field of a JSON payload, and `source.kafka.value` is not `json`; change that, or map `__value__`",
                shown(&text)
            );
            self.error(field, message);
        }
        if matches!(payload, PayloadType::Delimited(_)) && !matches!(path.steps(), [Step::Index(_)])
        {
            let message = format!(
                "{} is no field of delimited text, whose fields have only positions; write `[0]` for the first one",
                shown(&text)
            );
            self.error(field, message);
        }
        Some(ColumnSource::Path(path))
    }
}
