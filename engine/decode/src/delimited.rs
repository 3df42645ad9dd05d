//! Delimited text: one record a payload, cut into fields.

use std::ops::Range;

use engine_model::Delimiters;
use memchr::memmem::Finder;

/// Cuts records into fields; allocates nothing once its buffers have grown.
#[derive(Debug)]
pub(crate) struct FieldSplitter {
    separator: Finder<'static>,
    quote: Option<char>,
    /// Fields at the start of a record that anybody wants.
    wanted: usize,
    /// Those of the record under way.
    fields: Vec<SplitField>,
    /// The fields that aren't in the record as they are, one behind the other.
    unquoted: String,
}

#[derive(Clone, Debug)]
enum SplitField {
    InRecord(Range<usize>),
    Unquoted(Range<usize>),
}

/// The fields of one record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SplitRecord<'a> {
    record: &'a str,
    splitter: &'a FieldSplitter,
}

/// Why a text is no record: what stands where something else should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SplitError {
    /// A quote opens a field and none closes it.
    QuoteNotClosed { position: usize },
    /// Something else than a separator follows the quote that closes a field.
    TextBehindQuote { position: usize },
    /// A line break outside of quotes that isn't the last character.
    SecondRecord { position: usize },
}

impl std::fmt::Display for SplitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::QuoteNotClosed { position } => {
                write!(f, "a quote at position {position} that is not closed")
            }
            Self::TextBehindQuote { position } => {
                write!(f, "text at position {position}, behind a closing quote")
            }
            Self::SecondRecord { position } => {
                write!(f, "a second record at position {position}")
            }
        }
    }
}

impl FieldSplitter {
    /// A splitter of records of which the first `wanted` fields are taken.
    pub(crate) fn new(delimiters: &Delimiters, wanted: usize) -> Self {
        Self {
            separator: Finder::new(delimiters.separator.as_bytes()).into_owned(),
            quote: delimiters.quote,
            wanted,
            fields: Vec::new(),
            unquoted: String::new(),
        }
    }

    /// Cuts `record`. One line break at its end is no part of it; another needs quotes around it, where there are quotes.
    pub(crate) fn split<'a>(&'a mut self, record: &'a str) -> Result<SplitRecord<'a>, SplitError> {
        self.fields.clear();
        self.unquoted.clear();
        let record = record.strip_suffix('\n').unwrap_or(record);
        let record = record.strip_suffix('\r').unwrap_or(record);
        let mut start = 0;
        loop {
            let rest = record.get(start..).unwrap_or_default();
            let opened = self.quote.filter(|quote| rest.starts_with(*quote));
            let end = match opened {
                Some(quote) => self.quoted(record, start, quote)?,
                None => self.plain(record, start)?,
            };
            match end {
                Some(next) => start = next,
                None => break,
            }
        }
        Ok(SplitRecord {
            record,
            splitter: self,
        })
    }

    /// Takes the field at `start`, and tells where the next one starts.
    fn plain(&mut self, record: &str, start: usize) -> Result<Option<usize>, SplitError> {
        let rest = record.as_bytes().get(start..).unwrap_or_default();
        let length = self.separator.find(rest);
        let field = start..start + length.unwrap_or(rest.len());
        let text = record.as_bytes().get(field.clone()).unwrap_or_default();
        if self.quote.is_some()
            && let Some(at) = memchr::memchr2(b'\n', b'\r', text)
        {
            let position = start + at;
            return Err(SplitError::SecondRecord { position });
        }
        let next = length.map(|_| field.end + self.separator.needle().len());
        self.take(SplitField::InRecord(field));
        Ok(next)
    }

    /// The same for a field in quotes.
    fn quoted(
        &mut self,
        record: &str,
        start: usize,
        quote: char,
    ) -> Result<Option<usize>, SplitError> {
        let inside = start + quote.len_utf8();
        let unquoted_start = self.unquoted.len();
        let mut part = inside;
        let behind = loop {
            let rest = record.get(part..).unwrap_or_default();
            let Some(length) = rest.find(quote) else {
                return Err(SplitError::QuoteNotClosed { position: start });
            };
            let end = part + length;
            let behind = end + quote.len_utf8();
            let doubled = record
                .get(behind..)
                .is_some_and(|rest| rest.starts_with(quote));
            if !doubled && part == inside {
                self.take(SplitField::InRecord(inside..end));
                break behind;
            }
            self.unquoted
                .push_str(record.get(part..end).unwrap_or_default());
            if !doubled {
                let field = unquoted_start..self.unquoted.len();
                self.take(SplitField::Unquoted(field));
                break behind;
            }
            self.unquoted.push(quote);
            part = behind + quote.len_utf8();
        };
        let rest = record.as_bytes().get(behind..).unwrap_or_default();
        if rest.is_empty() {
            Ok(None)
        } else if rest.starts_with(self.separator.needle()) {
            Ok(Some(behind + self.separator.needle().len()))
        } else {
            Err(SplitError::TextBehindQuote { position: behind })
        }
    }

    /// Keeps a field that is wanted. The others were only looked at for what is no record.
    fn take(&mut self, field: SplitField) {
        if self.fields.len() < self.wanted {
            self.fields.push(field);
        } else if let SplitField::Unquoted(range) = field {
            self.unquoted.truncate(range.start);
        }
    }

    /// Gives back what is longer than `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.unquoted.clear();
        self.unquoted.shrink_to(bytes);
        self.fields.clear();
        self.fields.shrink_to(bytes / size_of::<SplitField>());
    }
}

impl<'a> SplitRecord<'a> {
    /// The field at `index`, counted from 0; nothing where the record has fewer.
    pub(crate) fn field(self, index: usize) -> Option<&'a str> {
        match self.splitter.fields.get(index)? {
            SplitField::InRecord(range) => self.record.get(range.clone()),
            SplitField::Unquoted(range) => self.splitter.unquoted.get(range.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(
        separator: &str,
        quote: Option<char>,
        record: &str,
    ) -> Result<Vec<String>, SplitError> {
        let delimiters = Delimiters {
            separator: separator.to_owned(),
            quote,
        };
        let mut splitter = FieldSplitter::new(&delimiters, usize::MAX);
        // What an earlier record left must not show.
        let _earlier = splitter.split("left,\"o\"\"ver\"");
        let record = splitter.split(record)?;
        Ok((0..)
            .map_while(|index| record.field(index).map(str::to_owned))
            .collect())
    }

    #[test]
    fn fields_stand_between_separators() {
        for (record, fields) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (",", &["", ""]),
            ("a,,", &["a", "", ""]),
            (" a , b ", &[" a ", " b "]),
            ("上,海", &["上", "海"]),
            ("a,b\n", &["a", "b"]),
            ("a,b\r\n", &["a", "b"]),
            ("a,\n", &["a", ""]),
        ] {
            assert_eq!(split(",", Some('"'), record).unwrap(), fields, "{record:?}");
        }
        assert_eq!(split("||", None, "a|||b").unwrap(), ["a", "|b"]);
        assert_eq!(
            split("\u{1}", None, "a\u{1}\"b\n\"").unwrap(),
            ["a", "\"b\n\""]
        );
    }

    #[test]
    fn quotes_hold_separators_breaks_and_doubled_quotes() {
        for (record, fields) in [
            ("\"a,b\",c", &["a,b", "c"][..]),
            ("\"\"", &[""]),
            ("\"\",\"\"", &["", ""]),
            ("\"a\"\"b\",\"\"\"\"", &["a\"b", "\""]),
            ("\"a\nb\"\n", &["a\nb"]),
            ("a\"b,c", &["a\"b", "c"]),
        ] {
            assert_eq!(split(",", Some('"'), record).unwrap(), fields, "{record:?}");
        }
        assert_eq!(split(";", Some('«'), "«a;««b«;c").unwrap(), ["a;«b", "c"]);
    }

    #[test]
    fn fields_behind_those_that_are_wanted_take_no_memory_and_are_checked() {
        let mut splitter = FieldSplitter::new(&Delimiters::default(), 2);
        let long = format!("a,b{}", ",\"x\"\"y\"".repeat(100_000));
        let record = splitter.split(&long).unwrap();
        assert_eq!((record.field(1), record.field(2)), (Some("b"), None));
        assert!(splitter.fields.capacity() < 100 && splitter.unquoted.len() < 10);
        let error = splitter.split("a,b,\"c").map(drop);
        assert_eq!(error, Err(SplitError::QuoteNotClosed { position: 4 }));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (record, error) in [
            ("a,\"b", SplitError::QuoteNotClosed { position: 2 }),
            ("\"", SplitError::QuoteNotClosed { position: 0 }),
            ("\"a\"\"", SplitError::QuoteNotClosed { position: 0 }),
            ("\"a\"b", SplitError::TextBehindQuote { position: 3 }),
            ("\"a\" ,b", SplitError::TextBehindQuote { position: 3 }),
            ("a\nb", SplitError::SecondRecord { position: 1 }),
            ("a\n\n", SplitError::SecondRecord { position: 1 }),
        ] {
            assert_eq!(split(",", Some('"'), record), Err(error), "{record:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_with_quotes_is_read_again(
            fields in prop::collection::vec("[a,\"\n\r 上|]{0,6}", 1..6),
        ) {
            let written: Vec<String> =
                fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(split(",", Some('"'), &written.join(",")).unwrap(), fields);
        }

        #[test]
        fn any_text_is_cut_or_refused(record in "[a,\"\n\r上|]{0,20}", separator in "[,|]{1,2}") {
            let _fields_or_error = split(&separator, Some('"'), &record);
            let fields = split(&separator, None, &record).unwrap();
            let ending = record.strip_suffix('\n').unwrap_or(&record);
            let ending = ending.strip_suffix('\r').unwrap_or(ending);
            prop_assert_eq!(fields.join(&separator), ending);
        }
    }
}
