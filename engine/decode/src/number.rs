//! Numbers from their text, exactly.

use crate::reject::RejectReason;

/// Exponents beyond this are all the same to us: every column would overflow or round. Small enough that sums of
/// exponents and digit counts can't overflow.
const EXPONENT_MAX: i64 = 1 << 40;

/// A decimal number as written, cut into its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecimalText<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> DecimalText<'a> {
    /// Reads `[+-] digits [. digits] [e [+-] digits]`, where one side of the point may lack its digits: every JSON
    /// number, and what Java's `BigDecimal` takes. No white space.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = signed(text.as_bytes());
        let (integer, rest) = digits(rest);
        let (fraction, rest) = match rest.split_first() {
            Some((b'.', rest)) => digits(rest),
            _ => (&[][..], rest),
        };
        if integer.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', rest)) => exponent(rest)?,
            Some(_) => return None,
        };
        Some(Self {
            negative,
            integer,
            fraction,
            exponent,
        })
    }

    /// The number times 10 to the power of `scale`, where that is an integer of at most `precision` digits.
    ///
    /// # Errors
    ///
    /// [`RejectReason::NeedsRounding`] where digits other than 0 would be left after the point;
    /// [`RejectReason::OutOfRange`] where there are too many digits. `precision` is at most 38, what 128 bits hold.
    pub(crate) fn scaled(&self, precision: u8, scale: u8) -> Result<i128, RejectReason> {
        let count = self.integer.len() + self.fraction.len();
        let digits = || self.integer.iter().chain(self.fraction);
        let Some(first) = digits().position(|digit| *digit != b'0') else {
            return Ok(0);
        };
        let zeros_behind = digits().rev().take_while(|digit| **digit == b'0').count();
        let significant = count - zeros_behind - first;
        let power =
            self.exponent - length(self.fraction.len()) + length(zeros_behind) + i64::from(scale);
        if power < 0 {
            return Err(RejectReason::NeedsRounding);
        }
        if length(significant) + power > i64::from(precision) {
            return Err(RejectReason::OutOfRange);
        }
        let zeros = u32::try_from(power).map_err(|_| RejectReason::OutOfRange)?;
        let value = digits()
            .skip(first)
            .take(significant)
            .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        let value = value * 10_i128.pow(zeros);
        Ok(if self.negative { -value } else { value })
    }
}

/// Whether `text` is a number by the grammar of RFC 8259, which is narrower than [`DecimalText::parse`].
pub(crate) fn is_json_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (integer, rest) = digits(text.as_bytes());
    let fraction_is_whole = match rest.split_first() {
        Some((b'.', rest)) => rest.first().is_some_and(u8::is_ascii_digit),
        _ => true,
    };
    let integer_is_plain = matches!(integer, [b'0'] | [b'1'..=b'9', ..]);
    integer_is_plain && fraction_is_whole && DecimalText::parse(text).is_some()
}

/// The characters of numbers from `start` on, where the first can start a number.
pub(crate) fn number_at(text: &[u8], start: usize) -> Option<&str> {
    let text = text.get(start..)?;
    text.first()
        .filter(|byte| matches!(byte, b'-' | b'0'..=b'9'))?;
    let end = text
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    str::from_utf8(&text[..end.unwrap_or(text.len())]).ok()
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

/// The digits at the start of `text`, and what follows them.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, rest) = signed(text);
    let (digits, rest) = digits(rest);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    Some(if negative { -value } else { value })
}

/// A count of bytes in memory, which always fits.
fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(text: &str, precision: u8, scale: u8) -> Result<i128, RejectReason> {
        DecimalText::parse(text)
            .expect("a number")
            .scaled(precision, scale)
    }

    #[test]
    fn digits_survive_or_are_refused() {
        use RejectReason::{NeedsRounding, OutOfRange};
        for (text, precision, scale, expected) in [
            ("0", 1, 0, Ok(0)),
            ("-0", 1, 0, Ok(0)),
            ("0e99999999999999999999", 1, 0, Ok(0)),
            ("12", 2, 0, Ok(12)),
            ("+12", 2, 0, Ok(12)),
            ("0012", 2, 0, Ok(12)),
            ("1.", 1, 0, Ok(1)),
            (".5", 1, 1, Ok(5)),
            ("-12.50", 4, 2, Ok(-1250)),
            ("12.500", 4, 2, Ok(1250)),
            ("12.505", 4, 2, Err(NeedsRounding)),
            ("1.0", 19, 0, Ok(1)),
            ("1e3", 19, 0, Ok(1000)),
            ("1200e-2", 2, 0, Ok(12)),
            ("1201e-2", 4, 0, Err(NeedsRounding)),
            ("100", 2, 0, Err(OutOfRange)),
            ("1e38", 38, 0, Err(OutOfRange)),
            ("1e37", 38, 0, Ok(10_i128.pow(37))),
            ("1e400", 38, 18, Err(OutOfRange)),
            ("1e99999999999999999999", 38, 18, Err(OutOfRange)),
            ("1e-99999999999999999999", 38, 18, Err(NeedsRounding)),
            (
                "99999999999999999999999999999999999999",
                38,
                0,
                Ok(10_i128.pow(38) - 1),
            ),
            (
                "-99999999999999999999.999999999999999999",
                38,
                18,
                Ok(1 - 10_i128.pow(38)),
            ),
            ("100000000000000000000", 38, 18, Err(OutOfRange)),
        ] {
            assert_eq!(scaled(text, precision, scale), expected, "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in [
            "", "-", "+", ".", "e1", "1e", "1e+", "1.2.3", " 1", "1 ", "0x1", "NaN", "Infinity",
            "1_000", "--1", "1,5",
        ] {
            assert!(DecimalText::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_json_grammar_is_narrower() {
        for text in ["0", "-0", "1.0", "1e5", "-1.5E+10", "0.0", "10"] {
            assert!(is_json_number(text), "{text}");
        }
        for text in [
            "", "-", "+1", "01", "-01", ".5", "1.", "1.e5", "1e", "1e400.5",
        ] {
            assert!(!is_json_number(text), "{text}");
        }
    }
}
