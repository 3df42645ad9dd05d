//! Decimals as text.

/// Digits of the greatest number of 128 bits.
const DIGITS_MAX: usize = 39;
/// The most digits that 64 bits hold whatever they are.
const CHUNK_DIGITS: usize = 19;
const CHUNK: u128 = 10_u128.pow(19);

/// Room for a sign, a point and all digits, or for a fraction without digits in front.
const TEXT_BYTES_MAX: usize = 2 * DIGITS_MAX;

/// A decimal in plain notation: no exponent, no zeros behind the last digit of the fraction, one digit in front at least.
pub(super) struct DecimalText {
    text: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl DecimalText {
    /// The text of `unscaled`, whose last `scale` digits are the fraction; `scale` is at most 38.
    pub(super) fn new(unscaled: i128, scale: u8) -> Self {
        let mut digits = [b'0'; DIGITS_MAX];
        let mut rest = unscaled.unsigned_abs();
        let mut end = DIGITS_MAX;
        let mut first = DIGITS_MAX;
        while rest > 0 {
            let mut chunk = u64::try_from(rest % CHUNK).unwrap_or_default();
            rest /= CHUNK;
            let start = end.saturating_sub(CHUNK_DIGITS);
            for (position, digit) in digits.iter_mut().enumerate().take(end).skip(start).rev() {
                if chunk == 0 && rest == 0 {
                    break;
                }
                *digit = b'0' + u8::try_from(chunk % 10).unwrap_or_default();
                chunk /= 10;
                first = position;
            }
            end = start;
        }
        let point = DIGITS_MAX - usize::from(scale).min(DIGITS_MAX - 1);
        let (whole, fraction) = digits.split_at(point);
        let (_, whole) = whole.split_at(first.min(point - 1));
        let fraction_digits = fraction
            .iter()
            .rposition(|digit| *digit != b'0')
            .map_or(0, |last| last + 1);
        let mut text = Self {
            text: [0; TEXT_BYTES_MAX],
            length: 0,
        };
        if unscaled < 0 {
            text.push(b"-");
        }
        text.push(whole);
        if fraction_digits > 0 {
            text.push(b".");
            text.push(fraction.split_at(fraction_digits).0);
        }
        text
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.split_at(self.length).0
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(place) = self.text.get_mut(self.length..self.length + bytes.len()) {
            place.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }
}

/// Reads a decimal in plain or exponent notation as a number whose last `scale` digits are the fraction; nothing where
/// the text is no decimal, has more digits behind the point, or doesn't fit `precision` digits.
pub(super) fn parse_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let text = str::from_utf8(text).ok()?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix(['-', '+']) {
        Some(rest) => (mantissa.starts_with('-'), rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut unscaled = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        unscaled = unscaled
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    let places = i64::try_from(fraction.len()).ok()?;
    let shift = i64::from(scale)
        .checked_sub(places)?
        .checked_add(exponent)?;
    if unscaled != 0 {
        let factor = |power: u64| 10_i128.checked_pow(u32::try_from(power).ok()?);
        unscaled = if shift >= 0 {
            unscaled.checked_mul(factor(shift.unsigned_abs())?)?
        } else {
            let factor = factor(shift.unsigned_abs())?;
            (unscaled % factor == 0).then_some(unscaled / factor)?
        };
    }
    let bound = 10_i128.checked_pow(precision.into())?;
    (unscaled < bound).then_some(if negative { -unscaled } else { unscaled })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(unscaled: i128, scale: u8) -> String {
        String::from_utf8(DecimalText::new(unscaled, scale).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn decimals_are_written_plainly_and_as_short_as_they_are() {
        for (unscaled, scale, expected) in [
            (0, 18, "0"),
            (0, 0, "0"),
            (150, 2, "1.5"),
            (1_000, 0, "1000"),
            (-1, 18, "-0.000000000000000001"),
            (1, 38, "0.00000000000000000000000000000000000001"),
            (9_999_999_999, 2, "99999999.99"),
            (10_i128.pow(19), 0, "10000000000000000000"),
            (
                10_i128.pow(38) - 1,
                18,
                "99999999999999999999.999999999999999999",
            ),
            (i128::MIN, 0, "-170141183460469231731687303715884105728"),
        ] {
            assert_eq!(text(unscaled, scale), expected);
        }
    }

    #[test]
    fn decimals_are_read_in_both_notations_and_only_where_they_fit() {
        for (text, expected) in [
            ("1E+3", Some(100_000)),
            ("1E-2", Some(1)),
            ("0E-18", Some(0)),
            ("-1.5", Some(-150)),
            ("+.5", Some(50)),
            ("12.3400", Some(1_234)),
            ("1E-3", None),
            ("0.001", None),
            ("123456.78", None),
            ("1e99999999999999999999", None),
            ("-", None),
            ("", None),
            ("1_0", None),
            ("nan", None),
        ] {
            assert_eq!(parse_decimal(text.as_bytes(), 7, 2), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(unscaled in -10_i128.pow(38) + 1..10_i128.pow(38), scale in 0_u8..=18) {
            prop_assert_eq!(parse_decimal(text(unscaled, scale).as_bytes(), 38, scale), Some(unscaled));
        }

        #[test]
        fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..50), numeric in "[-+]?[0-9]{0,45}\\.?[0-9]{0,20}[eE]?[-+]?[0-9]{0,9}") {
            let _mostly_refused = parse_decimal(&text, 38, 18);
            let _may_be_read = parse_decimal(numeric.as_bytes(), 38, 18);
        }
    }
}
