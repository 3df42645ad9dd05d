//! Sizes in bytes as people write them: `96MiB`, `50GiB`, `1.5 GB`.

/// Units and their bytes: powers of 1024 with an `i`, powers of 1000 without.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// Reads a whole number of bytes, exactly: digits with at most one point, then a unit in any case. A number without a
/// unit is bytes. Nothing for other texts, fractions of a byte, and what 64 bits can't hold.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits_end)?;
    let unit = unit.trim_start_matches(' ');
    let factor = if unit.is_empty() {
        1
    } else {
        let known = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
        known.1
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    // `whole.fraction` is an integer over a power of ten; the product must come out whole.
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(u128::from(factor))?;
    if !scaled.is_multiple_of(scale) {
        return None;
    }
    u64::try_from(scaled / scale).ok()
}

/// Writes `bytes` in the largest binary unit that divides it.
pub(crate) fn show(bytes: u64) -> String {
    let (name, factor) = UNITS
        .iter()
        .rev()
        .find(|(_, factor)| {
            factor.is_power_of_two() && bytes >= *factor && bytes.is_multiple_of(*factor)
        })
        .unwrap_or(&UNITS[0]);
    format!("{}{name}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact() {
        for (text, bytes) in [
            ("0", 0),
            ("67108864", 64 << 20),
            ("96MiB", 96 << 20),
            ("96 mib", 96 << 20),
            ("50GiB", 50 << 30),
            ("1.5GB", 1_500_000_000),
            ("0.5KiB", 512),
            ("1TiB", 1 << 40),
            ("1TB", 1_000_000_000_000),
            ("7B", 7),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_of_bytes_is_refused() {
        for text in [
            "",
            "MiB",
            ".5GB",
            "5.GB",
            "1.2.3MB",
            "0.1B",
            "-1",
            "96M",
            "96 MiB/s",
            "1e3",
            "9 9",
            "18446744073709551616",
            "99999999TiB",
            "0.0000000000000000000000000000000000000001TB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        assert_eq!(show(32 << 20), "32MiB");
        assert_eq!(show(1_500), "1500B");
        assert_eq!(show(0), "0B");
    }
}
