//! Exact arithmetic on shifts: `-8/24/60` is 480 s to the digit, where binary fractions would say 479.99….

/// Seconds of a day that is not cut or stretched by a change of clocks.
const SECONDS_PER_DAY: i128 = 86_400;

/// A fraction in lowest terms; the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    pub(super) fn whole(value: i64) -> Self {
        Self {
            numerator: i128::from(value),
            denominator: 1,
        }
    }

    /// `None` if the division is by zero or the exact result doesn't fit.
    fn new(numerator: i128, denominator: i128) -> Option<Self> {
        let divisor = greatest_common_divisor(numerator, denominator)?;
        let sign = denominator.signum();
        Some(Self {
            numerator: (numerator / divisor).checked_mul(sign)?,
            denominator: (denominator / divisor).checked_mul(sign)?,
        })
    }

    pub(super) fn times(self, factor: i64) -> Option<Self> {
        let numerator = self.numerator.checked_mul(i128::from(factor))?;
        Self::new(numerator, self.denominator)
    }

    pub(super) fn divided_by(self, divisor: i64) -> Option<Self> {
        let denominator = self.denominator.checked_mul(i128::from(divisor))?;
        Self::new(self.numerator, denominator)
    }

    pub(super) fn negated(self) -> Self {
        // Nothing saturates: products start from positive digits, so a numerator of i128::MIN can't arise.
        Self {
            numerator: self.numerator.saturating_neg(),
            ..self
        }
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        let denominator = self.denominator.checked_mul(other.denominator)?;
        Self::new(left.checked_add(right)?, denominator)
    }

    /// The value if it is a whole number.
    pub(super) fn to_whole(self) -> Option<i64> {
        if self.denominator == 1 {
            i64::try_from(self.numerator).ok()
        } else {
            None
        }
    }
}

/// None if both are zero or one has no positive counterpart.
fn greatest_common_divisor(left: i128, right: i128) -> Option<i128> {
    let (mut left, mut right) = (left.checked_abs()?, right.checked_abs()?);
    if right == 0 {
        return None;
    }
    while right != 0 {
        (left, right) = (right, left % right);
    }
    Some(left)
}

/// One signed shift of a `$[…]`, in days: the whole ones, counted on the calendar, and the rest, counted in elapsed
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    /// Rounded towards zero.
    pub(super) days: i64,
    /// Less than a day, with the same sign.
    pub(super) rest: Ratio,
}

impl Shift {
    /// `None` if the days don't fit into 64 bits.
    pub(super) fn new(days: Ratio) -> Option<Self> {
        let whole = i64::try_from(days.numerator / days.denominator).ok()?;
        let rest = Ratio::new(days.numerator % days.denominator, days.denominator)?;
        Some(Self { days: whole, rest })
    }

    /// Whether [`rest`](Self::rest) is a whole number of `seconds`.
    pub(super) fn rest_is_multiple_of(self, seconds: i128) -> bool {
        let per_day = SECONDS_PER_DAY / seconds;
        self.rest
            .numerator
            .checked_mul(per_day)
            .is_some_and(|scaled| scaled % self.rest.denominator == 0)
    }
}

/// The sum of shifts: whole days, and seconds of the rests rounded half up (towards later), once and at the end.
/// `None` if it can't be computed exactly.
pub(super) fn sum(shifts: &[Shift]) -> Option<(i64, i64)> {
    let mut days = 0_i64;
    let mut rest = Ratio::whole(0);
    for shift in shifts {
        days = days.checked_add(shift.days)?;
        rest = rest.plus(shift.rest)?;
    }
    let seconds = rest.numerator.checked_mul(SECONDS_PER_DAY)?;
    let doubled = seconds.checked_mul(2)?.checked_add(rest.denominator)?;
    let rounded = doubled.div_euclid(rest.denominator.checked_mul(2)?);
    Some((days, i64::try_from(rounded).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shift(numerator: i64, divisors: &[i64]) -> Shift {
        let mut ratio = Ratio::whole(numerator.abs());
        for divisor in divisors {
            ratio = ratio.divided_by(*divisor).unwrap();
        }
        Shift::new(if numerator < 0 {
            ratio.negated()
        } else {
            ratio
        })
        .unwrap()
    }

    #[test]
    fn sums_are_exact_and_rounded_once() {
        assert_eq!(sum(&[shift(-8, &[24, 60])]), Some((0, -480)));
        assert_eq!(sum(&[shift(-25, &[24])]), Some((-1, -3600)));
        assert_eq!(sum(&[shift(-48, &[24])]), Some((-2, 0)));
        assert_eq!(sum(&[shift(1, &[]), shift(-1, &[24])]), Some((1, -3600)));
        // A third of a second three times is a second; rounded one by one it would be none.
        let third = shift(1, &[86_400, 3]);
        assert_eq!(sum(&[third]), Some((0, 0)));
        assert_eq!(sum(&[third, third, third]), Some((0, 1)));
    }

    #[test]
    fn halves_go_towards_later() {
        assert_eq!(sum(&[shift(1, &[86_400, 2])]), Some((0, 1)));
        assert_eq!(sum(&[shift(-1, &[86_400, 2])]), Some((0, 0)));
        assert_eq!(sum(&[shift(-1, &[7])]), Some((0, -12_343)));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(Ratio::whole(1).divided_by(0), None);
        let huge = Ratio::whole(i64::MAX).times(i64::MAX).unwrap();
        assert_eq!(huge.times(i64::MAX), None);
        assert_eq!(Shift::new(huge), None);
        let primes = [2_147_483_647, 2_147_483_629, 2_147_483_587, 2_147_483_579];
        let fine = shift(1, &primes);
        assert_eq!(
            sum(&[fine, shift(1, &[2_147_483_563])]),
            None,
            "no common denominator in 128 bits"
        );
    }
}
