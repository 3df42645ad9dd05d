//! Date formats: their tokens, and how a date-time is written with them.

use std::fmt::{self, Write as _};

use jiff::civil::DateTime;

/// Characters that may stand between tokens and are copied.
const SEPARATORS: &str = "-:/_.T";

/// A part of a date or a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Year,
    ShortYear,
    Month,
    Day,
    Hour,
    /// From 01 to 12; midnight and noon are 12.
    HalfDayHour,
    Minute,
    Second,
}

impl Token {
    /// The tokens as they are spelled, longer ones before those that they begin with.
    const SPELLINGS: [(&'static str, Self); 9] = [
        ("yyyy", Self::Year),
        ("hh24", Self::Hour),
        ("hh12", Self::HalfDayHour),
        ("yy", Self::ShortYear),
        ("mm", Self::Month),
        ("dd", Self::Day),
        ("hh", Self::HalfDayHour),
        ("mi", Self::Minute),
        ("ss", Self::Second),
    ];

    /// The token that `text` begins with, in upper or lower case, and its length in bytes.
    pub(super) fn at_start(text: &str) -> Option<(Self, usize)> {
        Self::SPELLINGS.iter().find_map(|(spelling, token)| {
            let start = text.get(..spelling.len())?;
            start
                .eq_ignore_ascii_case(spelling)
                .then_some((*token, spelling.len()))
        })
    }

    pub(super) fn is_time_of_day(self) -> bool {
        matches!(
            self,
            Self::Hour | Self::HalfDayHour | Self::Minute | Self::Second
        )
    }

    /// How many digits it is written with.
    pub(super) fn digits(self) -> usize {
        if self == Self::Year { 4 } else { 2 }
    }
}

/// Whether `c` may stand between tokens.
pub(super) fn is_separator(c: char) -> bool {
    SEPARATORS.contains(c)
}

/// Tokens and separators; at least one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) items: Vec<FormatItem>,
}

/// One item of a format, with its spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormatItem {
    Token(Token, String),
    Separator(char),
}

impl Format {
    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> + '_ {
        self.items.iter().filter_map(|item| match item {
            FormatItem::Token(token, _) => Some(*token),
            FormatItem::Separator(_) => None,
        })
    }

    pub(super) fn has(&self, token: Token) -> bool {
        self.tokens().any(|other| other == token)
    }

    /// Writes `at`, leaving out what the format has no token for: a time is cut off, never rounded.
    pub(super) fn write(&self, at: DateTime, text: &mut String) {
        for item in &self.items {
            match item {
                FormatItem::Separator(c) => text.push(*c),
                FormatItem::Token(token, _) => {
                    let width = token.digits();
                    let number = number(*token, at);
                    write!(text, "{number:0width$}").expect("a String takes every write");
                }
            }
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            match item {
                FormatItem::Token(_, spelling) => f.write_str(spelling)?,
                FormatItem::Separator(c) => f.write_char(*c)?,
            }
        }
        Ok(())
    }
}

fn number(token: Token, at: DateTime) -> i16 {
    match token {
        Token::Year => at.year(),
        Token::ShortYear => at.year().rem_euclid(100),
        Token::Month => at.month().into(),
        Token::Day => at.day().into(),
        Token::Hour => at.hour().into(),
        Token::HalfDayHour => match at.hour() % 12 {
            0 => 12,
            hour => hour.into(),
        },
        Token::Minute => at.minute().into(),
        Token::Second => at.second().into(),
    }
}

/// How a format in Java's spelling, or in mixed case, is spelled here: `yyyy-MM-dd HH:mm` becomes `yyyy-mm-dd hh24:mi`.
pub(super) fn respelled(format: &str) -> String {
    let lower = format.to_ascii_lowercase();
    if ["hh24", "hh12", "mi"].iter().any(|own| lower.contains(own)) {
        // Our own tokens with stray capitals; reading them as Java's would turn months into minutes.
        return lower;
    }
    let mut text = String::new();
    let mut rest = format.chars().peekable();
    while let Some(first) = rest.next() {
        let mut count = 1;
        while rest.next_if_eq(&first).is_some() {
            count += 1;
        }
        match first {
            'y' | 'Y' if count > 2 => text.push_str("yyyy"),
            'y' | 'Y' => text.push_str("yy"),
            'M' => text.push_str("mm"),
            'd' | 'D' => text.push_str("dd"),
            'H' => text.push_str("hh24"),
            'h' => text.push_str("hh12"),
            'm' => text.push_str("mi"),
            's' | 'S' => text.push_str("ss"),
            other => text.extend(std::iter::repeat_n(other, count)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_tokens_come_first() {
        assert_eq!(Token::at_start("hh24mi"), Some((Token::Hour, 4)));
        assert_eq!(Token::at_start("hhmi"), Some((Token::HalfDayHour, 2)));
        assert_eq!(Token::at_start("yyyyy"), Some((Token::Year, 4)));
        assert_eq!(Token::at_start("yyy"), Some((Token::ShortYear, 2)));
        assert_eq!(Token::at_start("m年"), None);
    }

    #[test]
    fn java_formats_are_respelled() {
        for (java, ours) in [
            ("yyyyMMddHHmmss", "yyyymmddhh24miss"),
            ("yyyy-MM-dd", "yyyy-mm-dd"),
            ("YYYYMMddhhmm", "yyyymmddhh12mi"),
            ("HH:mm:ss", "hh24:mi:ss"),
            ("HH", "hh24"),
            ("yyyyMMddHH24MI", "yyyymmddhh24mi"),
        ] {
            assert_eq!(respelled(java), ours);
        }
    }
}
