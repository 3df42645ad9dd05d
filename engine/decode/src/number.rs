//! Numbers from their text, exactly.

use std::fmt::{self, Write};

use engine_model::Rounding;

use crate::reject::RejectReason;
use crate::swar::EACH;

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
            Some((b'e' | b'E', rest)) => match exponent(rest)? {
                (exponent, []) => exponent,
                _ => return None,
            },
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

/// A number by the grammar of RFC 8259, which is narrower than [`DecimalText::parse`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonNumber {
    negative: bool,
    /// All digits as one integer, or what 64 bits hold of it where there are more than [`DIGITS_MAX`].
    digits: u64,
    count: usize,
    /// The power of ten that the digits are times; nothing for what is spelled as an integer.
    power: Option<i64>,
}

/// Digits that any integer of 64 bits without a sign can hold.
const DIGITS_MAX: usize = 19;
/// Floats hold integers up to this one exactly,
const EXACT_MAX: u64 = 1 << 53;
/// and these powers of ten.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

impl JsonNumber {
    /// Reads the whole of `text`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (number, behind) = Self::at_start(text)?;
        behind.is_empty().then_some(number)
    }

    /// Reads as much of `text` as can be a number, and tells what follows it.
    #[inline]
    pub(crate) fn at_start(text: &[u8]) -> Option<(Self, &[u8])> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            text => (false, text),
        };
        let (mut digits, mut rest) = gather(text, 0);
        let mut count = text.len() - rest.len();
        if count != 1 && (count == 0 || text.first() == Some(&b'0')) {
            return None;
        }
        let mut power = None;
        if let [b'.', fraction @ ..] = rest {
            (digits, rest) = gather(fraction, digits);
            let places = fraction.len() - rest.len();
            count += places;
            power = Some(-length(places)).filter(|_| places > 0);
            power?;
        }
        if let [b'e' | b'E', behind @ ..] = rest {
            let (exponent, behind) = exponent(behind)?;
            power = Some(power.unwrap_or_default() + exponent);
            rest = behind;
        }
        let number = Self {
            negative,
            digits,
            count,
            power,
        };
        Some((number, rest))
    }

    /// The number, where it is spelled as an integer of up to [`DIGITS_MAX`] digits; zero with a sign isn't.
    #[inline]
    pub(crate) fn integer(self) -> Option<Integer> {
        if self.power.is_some() || self.count > DIGITS_MAX {
            None
        } else if !self.negative {
            Some(Integer::Unsigned(self.digits))
        } else {
            let value = 0_i64.checked_sub_unsigned(self.digits);
            value.filter(|value| *value < 0).map(Integer::Negative)
        }
    }

    /// The number, spelled `text`, where that is an integer of more digits and of 64 bits.
    pub(crate) fn long_integer(self, text: &str) -> Option<Integer> {
        let text = (self.power.is_none() && self.count > DIGITS_MAX).then_some(text)?;
        let unsigned = text.parse().ok().map(Integer::Unsigned);
        unsigned.or_else(|| text.parse().ok().map(Integer::Negative))
    }

    /// The nearest float, where that takes no more than one multiplication or division of floats that are exact.
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "up to `EXACT_MAX` none is lost")]
    pub(crate) fn float(self) -> Option<f64> {
        if self.count > DIGITS_MAX || self.digits > EXACT_MAX {
            return None;
        }
        let power = self.power.unwrap_or_default();
        let factor = POWERS.get(usize::try_from(power.unsigned_abs()).ok()?)?;
        let digits = self.digits as f64;
        let value = if power < 0 {
            digits / factor
        } else {
            digits * factor
        };
        Some(if self.negative { -value } else { value })
    }
}

/// An integer of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Integer {
    /// From 0.
    Unsigned(u64),
    /// Below 0.
    Negative(i64),
}

/// Goes on with the integer `digits` by the digits at the start of `text`, and tells what follows them.
#[inline]
fn gather(text: &[u8], mut digits: u64) -> (u64, &[u8]) {
    const SHIFTS: [u64; 9] = [
        1,
        10,
        100,
        1_000,
        10_000,
        100_000,
        1_000_000,
        10_000_000,
        100_000_000,
    ];
    let mut rest = text;
    // Most numbers are shorter than eight digits and have eight bytes behind them: no step depends on their length.
    while let Some(word) = rest.first_chunk() {
        let (count, value) = leading_digits(u64::from_le_bytes(*word));
        let shift = SHIFTS.get(count).copied().unwrap_or_default();
        digits = digits.wrapping_mul(shift).wrapping_add(value);
        rest = rest.get(count..).unwrap_or_default();
        if count < 8 {
            return (digits, rest);
        }
    }
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        digits = digits
            .wrapping_mul(10)
            .wrapping_add(u64::from(digit - b'0'));
        rest = behind;
    }
    (digits, rest)
}

/// How many of eight bytes, beginning with the lowest, are digits before the first that isn't, and the number they are.
#[inline]
fn leading_digits(word: u64) -> (usize, u64) {
    const UPPER_HALVES: u64 = 0xF0 * EACH;
    let digits = word ^ (0x30 * EACH);
    // Six more carry what is above 9 into the upper half of its byte. A carry out of a byte changes later ones only.
    let others = (digits | digits.wrapping_add(6 * EACH)) & UPPER_HALVES;
    let count = others.trailing_zeros() / 8;
    // The digits become the last ones of eight, with zeros before them.
    let digits = digits.unbounded_shl(64 - 8 * count);
    // Pairs, fours and eights: the lower bytes are the higher digits.
    let pairs = digits.wrapping_mul(10 << 8 | 1) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_FFFF_0000_FFFF;
    let value = fours.wrapping_mul(10_000 << 32 | 1) >> 32;
    (count as usize, value)
}

/// Whether `text` is a number by the grammar of RFC 8259.
pub(crate) fn is_json_number(text: &str) -> bool {
    JsonNumber::parse(text.as_bytes()).is_some()
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

    pub(crate) fn text(&self) -> &str {
        let text = self.bytes.get(..self.length).unwrap_or_default();
        str::from_utf8(text).expect("only text is written to it")
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

/// The number behind an `e`, and what follows it.
fn exponent(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, text) = signed(text);
    let (digits, rest) = digits(text);
    if digits.is_empty() {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    Some((if negative { -value } else { value }, rest))
}

/// A count of bytes in memory, which always fits.
fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn eight_digits_at_once() {
        for text in [
            "00000000", "12345678", "99999999", "10000001", "1234567,", ",1234567",
        ] {
            for place in 0..8 {
                for byte in 0..=u8::MAX {
                    let mut bytes = *text.as_bytes().first_chunk::<8>().unwrap();
                    bytes[place] = byte;
                    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
                    let number = digits.fold((0, 0), |(count, value), digit| {
                        (count + 1, value * 10 + u64::from(digit - b'0'))
                    });
                    let word = u64::from_le_bytes(bytes);
                    assert_eq!(leading_digits(word), number, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn integers_of_64_bits_and_no_others() {
        for text in [
            "0",
            "7",
            "-7",
            "1234567",
            "12345678",
            "-1234567890123456789",
            "9999999999999999999",
            "9223372036854775807",
            "-9223372036854775808",
            "-9223372036854775809",
            "18446744073709551615",
            "18446744073709551616",
            "-18446744073709551615",
            "123456789012345678901234567890",
        ] {
            let unsigned = text.parse().map(Integer::Unsigned);
            let expected = unsigned.or_else(|_| text.parse().map(Integer::Negative));
            let number = JsonNumber::parse(text.as_bytes()).unwrap();
            let integer = number.integer().or_else(|| number.long_integer(text));
            assert_eq!(integer, expected.ok(), "{text}");
        }
        for text in ["-0", "1.0", "1e3", "0e0"] {
            let number = JsonNumber::parse(text.as_bytes()).unwrap();
            assert_eq!(number.integer(), None, "{text}");
            assert_eq!(number.long_integer(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn quick_floats_are_the_nearest(
            text in "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?"
        ) {
            let expected: f64 = text.parse().unwrap();
            let number = JsonNumber::parse(text.as_bytes()).unwrap();
            if let Some(float) = number.float() {
                prop_assert_eq!(float.to_bits(), expected.to_bits());
            }
            let has_few_digits = text.len() <= 15 && !text.contains(['e', 'E']);
            prop_assert!(number.float().is_some() || !has_few_digits);
        }
    }
}
