//! Parts of a job file as text, to be pasted into one.

use std::fmt::Write as _;

use crate::{ColumnSource, FieldPath, MetadataField};

use super::parameters::ParameterTable;
use super::substitute::{Substituted, substitute};

/// Plain scalars that other readers of YAML take for something else than a text.
const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Writes the section `columns`, with a line for each column: its name and where its value comes from.
///
/// Paths must be [writable](is_writable). Read as a part of a job file, the text gives the same columns and sources.
///
/// ```
/// use engine_model::ColumnSource;
/// use engine_model::job::columns_section;
///
/// let path = ColumnSource::Path("user.address.city".parse()?);
/// assert_eq!(columns_section([("city", &path)]), "columns:\n  city: user.address.city\n");
/// # Ok::<(), engine_model::FieldPathError>(())
/// ```
pub fn columns_section<'c>(
    columns: impl IntoIterator<Item = (&'c str, &'c ColumnSource)>,
) -> String {
    let mut text = "columns:\n".to_owned();
    for (column, source) in columns {
        let source = match source {
            ColumnSource::Metadata(field) => field.name().to_owned(),
            ColumnSource::Path(path) => scalar(&path_text(path)),
            ColumnSource::Constant(constant) => format!("{{ value: {} }}", quoted(constant)),
        };
        writeln!(text, "  {}: {source}", scalar(column)).expect("a String takes every write");
    }
    text
}

/// Whether a job file can name `path`: not where a key holds what is a reference there, such as `${x}`.
pub fn is_writable(path: &FieldPath) -> bool {
    let text = path_text(path);
    let replaced = substitute(&text, &ParameterTable::default(), &|_| None);
    matches!(replaced, Ok(Substituted::Text(replaced)) if replaced.text == text)
}

/// The path, so that it is not taken for a part of the message.
fn path_text(path: &FieldPath) -> String {
    let text = path.to_string();
    if MetadataField::from_name(&text).is_some() {
        return format!("$.{text}");
    }
    text
}

/// `text` as a scalar, without quotes where every reader of YAML takes it for the same text.
fn scalar(text: &str) -> String {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
    let word = WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if starts && text.chars().all(plain) && !word {
        return text.to_owned();
    }
    quoted(text)
}

/// `text` in double quotes, on one line.
fn quoted(text: &str) -> String {
    let mut written = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            c if c.is_control() || is_special(c) => {
                write!(written, "\\U{:08X}", u32::from(c)).expect("a String takes every write");
            }
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// Characters that YAML takes for line breaks, or not at all, outside of an escape.
fn is_special(c: char) -> bool {
    matches!(
        c,
        '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::job::tests::check;
    use crate::{ColumnMapping, Step};

    /// The columns that a job with this section has.
    fn read(section: &str) -> Vec<ColumnMapping> {
        let text = format!(
            "job: j\ntime_zone: UTC\nsource: {{ kafka: {{ brokers: [h], topic: t }} }}\n\
             window: {{ start: \"20261122\", end: \"20261123\" }}\n\
             destination: {{ maxcompute: {{ endpoint: \"http://h/api\", project: p, table: t }} }}\n{section}",
        );
        let checked = check(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        checked.job.columns
    }

    fn path(keys: &[&str]) -> FieldPath {
        let steps: Vec<Step> = keys
            .iter()
            .map(|key| Step::Key((*key).to_owned()))
            .collect();
        steps.into()
    }

    #[test]
    fn names_and_paths_are_quoted_where_they_have_to_be() {
        let sources = [
            ("id", ColumnSource::Path(path(&["order", "id"]))),
            ("no", ColumnSource::Path(path(&["null"]))),
            ("city", ColumnSource::Path(path(&["user.address", "城市"]))),
            ("own", ColumnSource::Path(path(&["__key__"]))),
            ("__key__", ColumnSource::Metadata(MetadataField::Key)),
            ("channel", ColumnSource::Constant("we\nb".to_owned())),
        ];
        let section = columns_section(sources.iter().map(|(name, source)| (*name, source)));
        insta::assert_snapshot!(section, @r#"
            columns:
              id: order.id
              "no": "null"
              city: "['user.address'].城市"
              own: "$.__key__"
              __key__: __key__
              channel: { value: "we\U0000000Ab" }
            "#);
        let columns = read(&section);
        let back = columns
            .into_iter()
            .map(|mapping| (mapping.column, mapping.source));
        let expected = sources.map(|(name, source)| (name.to_owned(), source));
        assert_eq!(back.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn keys_that_are_references_in_a_job_file_cannot_be_written() {
        for key in ["${x}", "a${env.HOME}", "$[yyyymmdd]", "$bizdate"] {
            assert!(!is_writable(&path(&[key])), "{key}");
        }
        for key in ["$", "$ref", "a$", "{x}", ""] {
            assert!(is_writable(&path(&[key])), "{key}");
        }
    }

    proptest! {
        #[test]
        fn a_job_reads_back_every_path_that_is_writable(
            keys in prop::collection::vec(prop_oneof![".{0,6}", any::<String>(), "[a$\\{\\}\\['\"\\\\.]{0,5}"], 1..4),
        ) {
            let steps: Vec<Step> = keys.into_iter().map(Step::Key).collect();
            let source = ColumnSource::Path(steps.into());
            let ColumnSource::Path(path) = &source else { unreachable!() };
            prop_assume!(is_writable(path));
            let columns = read(&columns_section([("c", &source)]));
            prop_assert_eq!(&columns[0].source, &source);
        }
    }
}
