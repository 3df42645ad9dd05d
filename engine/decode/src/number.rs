//! Numbers from their text, exactly.

use std::fmt::{self, Write};

use engine_model::Rounding;

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

    /// Whether it has a minus.
    pub(crate) fn is_negative(&self) -> bool {
        self.negative
    }

    /// The number times 10 to the power of `scale`, where that is an integer of at most `precision` digits, or becomes one by
    /// `rounding`.
    ///
    /// # Errors
    ///
    /// [`RejectReason::NeedsRounding`] where digits other than 0 would be left after the point and there is no `rounding`;
    /// [`RejectReason::OutOfRange`] where there are too many digits. `precision` is at most 38, what 128 bits hold.
    pub(crate) fn scaled(
        &self,
        precision: u8,
        scale: i8,
        rounding: Option<Rounding>,
    ) -> Result<i128, RejectReason> {
        let count = self.integer.len() + self.fraction.len();
        let digits = || self.integer.iter().chain(self.fraction);
        let Some(first) = digits().position(|digit| *digit != b'0') else {
            return Ok(0);
        };
        let zeros_behind = digits().rev().take_while(|digit| **digit == b'0').count();
        let significant = count - zeros_behind - first;
        let power =
            self.exponent - length(self.fraction.len()) + length(zeros_behind) + i64::from(scale);
        if power < 0 && rounding.is_none() {
            return Err(RejectReason::NeedsRounding);
        }
        let (zeros, dropped) = (power.max(0), power.min(0).unsigned_abs());
        let dropped = usize::try_from(dropped).unwrap_or(usize::MAX);
        let kept = significant.saturating_sub(dropped);
        if length(kept) + zeros > i64::from(precision) {
            return Err(RejectReason::OutOfRange);
        }
        let zeros = u32::try_from(zeros).map_err(|_| RejectReason::OutOfRange)?;
        let mut digits = digits().skip(first);
        let value = digits
            .by_ref()
            .take(kept)
            .fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        let mut value = value * 10_i128.pow(zeros);
        // Where more is dropped than there is, the first digit of it is a zero.
        let half = dropped > 0
            && dropped <= significant
            && digits.next().is_some_and(|digit| *digit >= b'5');
        if half && rounding == Some(Rounding::HalfUp) {
            value += 1;
            if value == 10_i128.pow(precision.into()) {
                return Err(RejectReason::OutOfRange);
            }
        }
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

/// An integer's digits, with its sign.
pub(crate) struct Digits {
    bytes: [u8; 20],
    length: usize,
}

impl Digits {
    pub(crate) fn of(value: impl fmt::Display) -> Self {
        let mut digits = Self {
            bytes: [0; 20],
            length: 0,
        };
        // Twenty characters hold every integer of 64 bits.
        let _fits = write!(digits, "{value}");
        digits
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(self.bytes()).unwrap_or_default()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
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

    fn scaled(text: &str, precision: u8, scale: i8) -> Result<i128, RejectReason> {
        DecimalText::parse(text)
            .expect("a number")
            .scaled(precision, scale, None)
    }

    #[test]
    fn digits_are_rounded_by_choice() {
        use RejectReason::OutOfRange;
        for (text, scale, half_up, down) in [
            ("1.5", 0, Ok(2), Ok(1)),
            ("-1.5", 0, Ok(-2), Ok(-1)),
            ("1.49999999999999999999999", 0, Ok(1), Ok(1)),
            ("0.5", 0, Ok(1), Ok(0)),
            ("0.05", 0, Ok(0), Ok(0)),
            ("5e-20", 0, Ok(0), Ok(0)),
            ("9e-99999999999999999999", 0, Ok(0), Ok(0)),
            ("12.345", 2, Ok(1_235), Ok(1_234)),
            ("12.34", 2, Ok(1_234), Ok(1_234)),
            ("1250", -2, Ok(13), Ok(12)),
            ("999.5", 0, Err(OutOfRange), Ok(999)),
            ("9994", -1, Ok(999), Ok(999)),
            ("9995", -1, Err(OutOfRange), Ok(999)),
            ("1000.1", 0, Err(OutOfRange), Err(OutOfRange)),
        ] {
            let number = DecimalText::parse(text).expect("a number");
            let rounded =
                |rounding| number.scaled(if scale > 0 { 4 } else { 3 }, scale, Some(rounding));
            assert_eq!(rounded(Rounding::HalfUp), half_up, "{text}");
            assert_eq!(rounded(Rounding::Down), down, "{text}");
        }
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
