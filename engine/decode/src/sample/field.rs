//! What was seen of one field.

use engine_model::ColumnType;
use serde::{Serialize, Serializer};

use crate::instant::InstantReader;
use crate::number::DecimalText;
use crate::value::Value;

/// 2000-01-01T00:00:00Z and 2100-01-01T00:00:00Z, in seconds since the epoch: integers between them may be instants.
const EPOCH_S: std::ops::Range<i128> = 946_684_800..4_102_444_800;
/// Characters of an instant that is a day.
const DATE_BYTES: usize = 10;

/// What was seen of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldFigures {
    /// Messages that have the field, if only as null.
    pub messages: u64,
    /// Values of each kind; more than messages within arrays.
    pub kinds: KindCounts,
    /// Between which integers lie.
    pub integers: Option<IntegerRange>,
    /// Most digits of a number before its point.
    pub digits_before_point: u64,
    /// Most digits of a number after its point, as they are written.
    pub digits_after_point: u64,
    /// Numbers that are written with an exponent.
    pub exponents: u64,
    /// Numbers that no float can hold.
    pub beyond_float: u64,
    /// Integers that are ms since the epoch in the years 2000 to 2099.
    pub epoch_ms: u64,
    /// Integers that are seconds since the epoch in these years.
    pub epoch_s: u64,
    /// Bytes of the longest string.
    pub string_bytes_max: u64,
    /// Characters of the string with the most of them.
    pub string_chars_max: u64,
    /// How strings read.
    pub strings: StringCounts,
    /// Elements of the longest array.
    pub elements_max: u64,
}

/// Some integers, both ends among them. Those of more than 64 bits are serialized as texts; beyond 128 bits all are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct IntegerRange {
    /// The least of them.
    #[serde(serialize_with = "serialize_integer")]
    pub least: i128,
    /// The greatest of them.
    #[serde(serialize_with = "serialize_integer")]
    pub greatest: i128,
}

/// Values by their kind in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindCounts {
    /// `null`.
    pub nulls: u64,
    /// `true` and `false`.
    pub booleans: u64,
    /// Numbers without point and exponent.
    pub integers: u64,
    /// Other numbers.
    pub fractions: u64,
    /// Strings.
    pub strings: u64,
    /// Objects.
    pub objects: u64,
    /// Arrays.
    pub arrays: u64,
}

/// Strings by what columns of other types would read in them; one may be several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StringCounts {
    /// Days.
    pub dates: u64,
    /// Instants, days among them.
    pub instants: u64,
    /// Instants that are finer than a millisecond.
    pub beyond_ms: u64,
    /// Instants of the years that TIMESTAMP reaches, 1677 to 2262.
    pub timestamps: u64,
    /// Instants without an offset, which depend on a time zone.
    pub without_offset: u64,
    /// Integers.
    pub integers: u64,
    /// Decimal numbers, integers among them.
    pub decimals: u64,
    /// `true` and `false` in any case.
    pub booleans: u64,
}

/// As a number where it has 64 bits, which readers of JSON are sure to take, else as a text.
fn serialize_integer<S: Serializer>(integer: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*integer) {
        Ok(number) => serializer.serialize_i64(number),
        Err(_) => serializer.collect_str(integer),
    }
}

impl KindCounts {
    /// The kinds with their names, `null` last.
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("boolean", self.booleans),
            ("integer", self.integers),
            ("fraction", self.fractions),
            ("string", self.strings),
            ("object", self.objects),
            ("array", self.arrays),
            ("null", self.nulls),
        ]
    }

    /// All values.
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    /// Values other than null.
    pub fn values(&self) -> u64 {
        self.total() - self.nulls
    }
}

impl FieldFigures {
    pub(super) fn integer(&mut self, number: i128) {
        self.kinds.integers += 1;
        let range = self.integers.get_or_insert(IntegerRange {
            least: number,
            greatest: number,
        });
        range.least = range.least.min(number);
        range.greatest = range.greatest.max(number);
        let digits = number.unsigned_abs().checked_ilog10().unwrap_or_default() + 1;
        self.digits_before_point = self.digits_before_point.max(u64::from(digits));
        self.epoch_s += u64::from(EPOCH_S.contains(&number));
        self.epoch_ms += u64::from(EPOCH_S.contains(&number.div_euclid(1_000)));
    }

    /// Takes a number that the parser made a float of: one with a point or an exponent, or an integer of many digits.
    pub(super) fn number(&mut self, text: &str) {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let bound = if digits.len() < text.len() {
                i128::MIN
            } else {
                i128::MAX
            };
            self.integer(text.parse().unwrap_or(bound));
            self.digits_before_point = self.digits_before_point.max(digits.len() as u64);
            self.beyond_float += u64::from(text.parse().is_ok_and(f64::is_infinite));
            return;
        }
        self.kinds.fractions += 1;
        let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
            Some((mantissa, _)) => (mantissa, 1),
            None => (digits, 0),
        };
        self.exponents += exponent;
        self.beyond_float += u64::from(text.parse().is_ok_and(f64::is_infinite));
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        self.digits_before_point = self.digits_before_point.max(before.len() as u64);
        self.digits_after_point = self.digits_after_point.max(after.len() as u64);
    }

    pub(super) fn string(&mut self, text: &str, instants: &InstantReader) {
        self.kinds.strings += 1;
        self.string_bytes_max = self.string_bytes_max.max(text.len() as u64);
        self.string_chars_max = self.string_chars_max.max(text.chars().count() as u64);
        let strings = &mut self.strings;
        let boolean = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
        strings.booleans += u64::from(boolean);
        if DecimalText::parse(text).is_some() {
            strings.decimals += 1;
            let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
            let integer = digits.bytes().all(|byte| byte.is_ascii_digit());
            strings.integers += u64::from(integer);
            return;
        }
        let has_no_offset = instants.read_wall_clock(&Value::Text(text)).is_ok();
        // A DATE takes a day without a midnight in the zone, which is no instant.
        strings.dates += u64::from(has_no_offset && text.len() == DATE_BYTES);
        if let Ok(instant) = instants.read(&Value::Text(text)) {
            strings.instants += 1;
            strings.without_offset += u64::from(has_no_offset);
            strings.beyond_ms += u64::from(!instant.nanoseconds.is_multiple_of(1_000_000));
            let nanoseconds =
                i128::from(instant.seconds) * 1_000_000_000 + i128::from(instant.nanoseconds);
            strings.timestamps += u64::from(i64::try_from(nanoseconds).is_ok());
        }
    }

    /// Whether `count` of the field's strings are all of its values.
    pub(super) fn all_strings(&self, count: u64) -> bool {
        count > 0 && count == self.kinds.values()
    }

    /// Whether all integers fit into a BIGINT.
    pub(super) fn fits_big_int(&self) -> bool {
        // The service keeps the least value for itself.
        let range = i128::from(i64::MIN) + 1..=i128::from(i64::MAX);
        self.integers
            .is_some_and(|seen| range.contains(&seen.least) && range.contains(&seen.greatest))
    }

    /// The decimal type that has room for `before` and `after` digits on both sides of the point, and more.
    pub(super) fn decimal(&self) -> Option<ColumnType> {
        let (precision, scale) = if self.digits_after_point == 0 {
            (38, 0)
        } else {
            (38, 18)
        };
        let fits = self.digits_before_point <= u64::from(precision - scale)
            && self.digits_after_point <= u64::from(scale);
        fits.then_some(ColumnType::Decimal { precision, scale })
    }
}
