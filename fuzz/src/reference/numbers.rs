//! Numbers and numeric strings.

use super::Refused;

/// Integers: the number that `number` is, exactly, if it is one of `range`.
pub(super) fn whole(number: &str, range: std::ops::RangeInclusive<i64>) -> Result<i64, Refused> {
    let whole = i64::try_from(decimal(number, 19, 0)?).map_err(|_| Refused)?;
    if range.contains(&whole) {
        Ok(whole)
    } else {
        Err(Refused)
    }
}

/// DECIMAL: `number` times 10 to the power of `scale`, exactly.
pub(super) fn decimal(number: &str, precision: usize, scale: i64) -> Result<i128, Refused> {
    let (negative, digits, power) = parts(number).ok_or(Refused)?;
    let trimmed = digits.trim_end_matches('0');
    if trimmed.is_empty() {
        return Ok(0);
    }
    let dropped = i64::try_from(digits.len() - trimmed.len()).map_err(|_| Refused)?;
    let zeros = power.saturating_add(dropped).saturating_add(scale);
    let significant = trimmed.trim_start_matches('0');
    let zeros = usize::try_from(zeros).map_err(|_| Refused)?;
    if significant.len().saturating_add(zeros) > precision {
        return Err(Refused);
    }
    let unscaled: i128 = format!("{significant}{}", "0".repeat(zeros))
        .parse()
        .map_err(|_| Refused)?;
    Ok(if negative { -unscaled } else { unscaled })
}

/// DOUBLE: the nearest float of 64 bits.
pub(super) fn double(number: &str) -> Result<f64, Refused> {
    parts(number).ok_or(Refused)?;
    let nearest: f64 = number.parse().map_err(|_| Refused)?;
    if nearest.is_finite() {
        Ok(nearest)
    } else {
        Err(Refused)
    }
}

/// FLOAT: the nearest float of 32 bits.
pub(super) fn float(number: &str) -> Result<f32, Refused> {
    parts(number).ok_or(Refused)?;
    let nearest: f32 = number.parse().map_err(|_| Refused)?;
    if nearest.is_finite() {
        Ok(nearest)
    } else {
        Err(Refused)
    }
}

/// Whether a string is numeric.
pub(super) fn is_number(text: &str) -> bool {
    parts(text).is_some()
}

/// The sign, the digits without the point, and the power of ten that they are times; nothing for what is no number.
fn parts(number: &str) -> Option<(bool, String, i64)> {
    let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = format!("{integer}{fraction}");
    if digits.is_empty()
        || exponent_digits.is_empty()
        || ![&digits, exponent_digits].into_iter().all(is_digits)
    {
        return None;
    }
    let far = if exponent.starts_with('-') {
        i64::MIN / 2
    } else {
        i64::MAX / 2
    };
    let exponent = exponent
        .parse()
        .unwrap_or(far)
        .clamp(i64::MIN / 2, i64::MAX / 2);
    let power = exponent - i64::try_from(fraction.len()).ok()?;
    Some((number.starts_with('-'), digits, power))
}
