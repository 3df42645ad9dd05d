//! Exact decimal numbers, and the text that they travel and compare as.

use std::cmp::Ordering;
use std::fmt;

use arrow::datatypes::i256;
use engine_model::limits::{DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX};

/// Digits after the point that are read; what a 256-bit integer can hold beside 38 digits before it.
const SCALE_MAX: u32 = 36;

/// `unscaled` × 10^-`scale`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    unscaled: i256,
    scale: u32,
}

impl Decimal {
    pub(crate) const ZERO: Self = Self {
        unscaled: i256::ZERO,
        scale: 0,
    };

    /// Reads digits with sign, point and exponent. `None` for other text, and for numbers out of reach.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction)
        {
            return None;
        }
        let joined = format!("{whole}{fraction}");
        let significant = joined.trim_start_matches('0');
        let unscaled = if significant.is_empty() {
            i256::ZERO
        } else {
            // 77 digits may not fit 256 bits.
            (significant.len() <= 76)
                .then(|| i256::from_string(significant))
                .flatten()?
        };
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        let number = if scale < 0 {
            let factor = power(scale.unsigned_abs())?;
            Self {
                unscaled: unscaled.checked_mul(factor)?,
                scale: 0,
            }
        } else {
            Self {
                unscaled,
                scale: scale.unsigned_abs(),
            }
            .at_most(SCALE_MAX)?
        };
        Some(if negative { number.negate() } else { number })
    }

    pub(crate) fn negate(self) -> Self {
        Self {
            unscaled: self.unscaled.wrapping_neg(),
            ..self
        }
    }

    /// The number with exactly `scale` digits after the point, rounded half up (away from zero).
    pub(crate) fn rescale(self, scale: u32) -> Option<Self> {
        if scale >= self.scale {
            let unscaled = self.unscaled.checked_mul(power(scale - self.scale)?)?;
            return Some(Self { unscaled, scale });
        }
        let Some(factor) = power(self.scale - scale) else {
            return Some(Self {
                unscaled: i256::ZERO,
                scale,
            });
        };
        let two = i256::from_i128(2);
        let quotient = self.unscaled.checked_div(factor)?;
        let rest = self.unscaled.checked_rem(factor)?.checked_abs()?;
        let up = rest.checked_mul(two)? >= factor;
        let step = match (up, self.unscaled.is_negative()) {
            (false, _) => i256::ZERO,
            (true, false) => i256::ONE,
            (true, true) => i256::MINUS_ONE,
        };
        Some(Self {
            unscaled: quotient.checked_add(step)?,
            scale,
        })
    }

    /// The number as a DECIMAL(`precision`, `scale`); `None` where its integer digits don't fit.
    pub(crate) fn fit(self, precision: u8, scale: u8) -> Option<Self> {
        let number = self.rescale(scale.into())?;
        let bound = power(precision.into())?;
        (number.unscaled.checked_abs()? < bound).then_some(number)
    }

    /// The digits of the number as a DECIMAL(`precision`, `scale`), without the point.
    pub(crate) fn unscaled(self, precision: u8, scale: u8) -> Option<i128> {
        self.fit(precision, scale)?.unscaled.to_i128()
    }

    /// The number as the widest DECIMAL of its scale.
    pub(crate) fn widest(self) -> Option<Self> {
        let scale = u8::try_from(self.scale)
            .unwrap_or(u8::MAX)
            .min(DECIMAL_SCALE_MAX);
        self.fit(DECIMAL_PRECISION_MAX, scale)
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (left, right) = (self.rescale(scale)?, other.rescale(scale)?);
        Some(Self {
            unscaled: left.unscaled.checked_add(right.unscaled)?,
            scale,
        })
    }

    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        let unscaled = self.unscaled.checked_mul(other.unscaled)?;
        Self {
            unscaled,
            scale: self.scale + other.scale,
        }
        .at_most(DECIMAL_SCALE_MAX.into())
    }

    /// The quotient to 18 digits after the point; `None` for a divisor of zero.
    pub(crate) fn divide(self, other: Self) -> Option<Self> {
        // One digit more than is kept, so that rounding sees it.
        let digits = u32::from(DECIMAL_SCALE_MAX) + 1;
        let shifted = self.unscaled.checked_mul(power(digits + other.scale)?)?;
        let quotient = shifted.checked_div(other.unscaled)?;
        Self {
            unscaled: quotient,
            scale: digits + self.scale,
        }
        .at_most(DECIMAL_SCALE_MAX.into())
    }

    pub(crate) fn remainder(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (left, right) = (self.rescale(scale)?, other.rescale(scale)?);
        Some(Self {
            unscaled: left.unscaled.checked_rem(right.unscaled)?,
            scale,
        })
    }

    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        let scale = self.scale.max(other.scale);
        Some(
            self.rescale(scale)?
                .unscaled
                .cmp(&other.rescale(scale)?.unscaled),
        )
    }

    fn at_most(self, scale: u32) -> Option<Self> {
        if self.scale > scale {
            self.rescale(scale)
        } else {
            Some(self)
        }
    }
}

/// Plain digits, all of the scale.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = usize::try_from(self.scale).unwrap_or_default();
        let digits = self.unscaled.wrapping_abs().to_string();
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let sign = if self.unscaled.is_negative() { "-" } else { "" };
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

/// The collation of decimal text: by value. Text that is no number sorts by its bytes, after all numbers.
pub(crate) fn collate(left: &str, right: &str) -> Ordering {
    match (Decimal::parse(left), Decimal::parse(right)) {
        (Some(a), Some(b)) => a.compare(b).unwrap_or_else(|| left.cmp(right)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

fn power(exponent: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn text_survives() {
        for (text, plain) in [
            ("1.50", "1.50"),
            ("-0.05", "-0.05"),
            ("1E+3", "1000"),
            ("12e-4", "0.0012"),
            (".5", "0.5"),
            (
                "-99999999999999999999999999999999999999",
                "-99999999999999999999999999999999999999",
            ),
        ] {
            assert_eq!(decimal(text).to_string(), plain, "{text}");
        }
        for bad in [
            "",
            "-",
            ".",
            "1.2.3",
            "1e",
            "x",
            "1e999999999999",
            "0x1",
            "１",
        ] {
            assert!(Decimal::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn rounding_is_half_up_away_from_zero() {
        for (text, scale, rounded) in [
            ("1.25", 1, "1.3"),
            ("-1.25", 1, "-1.3"),
            ("1.24", 1, "1.2"),
            ("0.5", 0, "1"),
        ] {
            assert_eq!(decimal(text).rescale(scale).unwrap().to_string(), rounded);
        }
        assert!(decimal("999.995").fit(5, 2).is_none());
        assert_eq!(decimal("999.994").fit(5, 2).unwrap().to_string(), "999.99");
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(
            decimal("0.1").add(decimal("0.2")).unwrap().to_string(),
            "0.3"
        );
        assert_eq!(
            decimal("1.50")
                .multiply(decimal("-2.5"))
                .unwrap()
                .to_string(),
            "-3.750"
        );
        assert_eq!(
            decimal("1").divide(decimal("3")).unwrap().to_string(),
            "0.333333333333333333"
        );
        assert_eq!(
            decimal("7.5").remainder(decimal("2")).unwrap().to_string(),
            "1.5"
        );
        assert!(decimal("1").divide(Decimal::ZERO).is_none());
        assert_eq!(collate("10.0", "9.99"), Ordering::Greater);
        assert_eq!(collate("1.0", "1.00"), Ordering::Equal);
    }
}
