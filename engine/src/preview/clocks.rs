//! Instants as the clocks of a time zone show them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use arrow::datatypes::{DataType, TimestampMillisecondType, TimestampNanosecondType};
use arrow::error::ArrowError;
use engine_model::ColumnType;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const NS_PER_S: i64 = 1_000_000_000;
const MS_PER_S: i64 = 1_000;

/// The column with every DATETIME and TIMESTAMP in it moved by the offset that `zone` had then, so that its text is what a
/// clock there showed. All else stays as it is.
pub(super) fn in_zone(
    column: &ArrayRef,
    column_type: &ColumnType,
    zone: &TimeZone,
) -> Result<ArrayRef, ArrowError> {
    Ok(match (column_type, column.data_type()) {
        (ColumnType::DateTime, _) => {
            let moved = |ms: i64| {
                let at = Timestamp::from_millisecond(ms).ok();
                ms.saturating_add(offset_s(at, zone) * MS_PER_S)
            };
            let instants = column.as_primitive::<TimestampMillisecondType>();
            Arc::new(instants.unary::<_, TimestampMillisecondType>(moved))
        }
        (ColumnType::Timestamp, _) => {
            let moved = |ns: i64| {
                let at = Timestamp::from_nanosecond(ns.into()).ok();
                ns.saturating_add(offset_s(at, zone) * NS_PER_S)
            };
            let instants = column.as_primitive::<TimestampNanosecondType>();
            Arc::new(instants.unary::<_, TimestampNanosecondType>(moved))
        }
        (ColumnType::Array(element), DataType::List(field)) => {
            let list = column.as_list::<i32>();
            Arc::new(ListArray::try_new(
                Arc::clone(field),
                list.offsets().clone(),
                in_zone(list.values(), element, zone)?,
                list.nulls().cloned(),
            )?)
        }
        (ColumnType::Map(key, value), DataType::Map(field, ordered)) => {
            let map = column.as_map();
            let (fields, _, nulls) = map.entries().clone().into_parts();
            let columns = vec![
                in_zone(map.keys(), key, zone)?,
                in_zone(map.values(), value, zone)?,
            ];
            Arc::new(MapArray::try_new(
                Arc::clone(field),
                map.offsets().clone(),
                StructArray::try_new(fields, columns, nulls)?,
                map.nulls().cloned(),
                *ordered,
            )?)
        }
        (ColumnType::Struct(types), DataType::Struct(fields)) => {
            let parts = column.as_struct().columns().iter().zip(types);
            let columns = parts.map(|(part, (_, part_type))| in_zone(part, part_type, zone));
            let columns = columns.collect::<Result<_, _>>()?;
            let nulls = column.nulls().cloned();
            Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?)
        }
        _ => Arc::clone(column),
    })
}

/// Whether a column of this type has instants in it.
pub(super) fn has_instants(column_type: &ColumnType) -> bool {
    match column_type {
        ColumnType::DateTime | ColumnType::Timestamp => true,
        ColumnType::Array(element) => has_instants(element),
        ColumnType::Map(key, value) => has_instants(key) || has_instants(value),
        ColumnType::Struct(fields) => fields.iter().any(|(_, field)| has_instants(field)),
        _ => false,
    }
}

/// Seconds that the zone was ahead of UTC; 0 for what is beyond jiff's calendar.
fn offset_s(at: Option<Timestamp>, zone: &TimeZone) -> i64 {
    at.map_or(0, |at| zone.to_offset(at).seconds().into())
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        ListBuilder, MapBuilder, StringBuilder, TimestampMillisecondArray,
        TimestampMillisecondBuilder, TimestampNanosecondArray,
    };
    use arrow::util::display::array_value_to_string;

    use super::*;

    const NOON_MS: i64 = 1_795_341_600_000;

    /// Each row of the column as Shanghai's clocks show it.
    fn shown(column: impl Array + 'static, column_type: &str) -> Vec<String> {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        let column: ArrayRef = Arc::new(column);
        let column = in_zone(&column, &column_type.parse().unwrap(), &shanghai).unwrap();
        (0..column.len())
            .map(|row| array_value_to_string(&column, row).unwrap())
            .collect()
    }

    #[test]
    fn instants_are_moved_wherever_they_are_and_clocks_are_not() {
        let milliseconds = TimestampMillisecondArray::from(vec![Some(NOON_MS), None, Some(0)]);
        assert_eq!(
            shown(milliseconds.clone(), "DATETIME"),
            ["2026-11-22T18:00:00", "", "1970-01-01T08:00:00"]
        );
        let nanoseconds: TimestampNanosecondArray = vec![NOON_MS * 1_000_000 + 7, i64::MAX].into();
        let moved = shown(nanoseconds.clone(), "TIMESTAMP");
        assert_eq!(moved[0], "2026-11-22T18:00:00.000000007");
        let stays = shown(nanoseconds, "TIMESTAMP_NTZ");
        assert_eq!(stays[0], "2026-11-22T10:00:00.000000007");

        let mut list = ListBuilder::new(TimestampMillisecondBuilder::new());
        list.append_value([Some(NOON_MS), None]);
        list.append_null();
        let listed = shown(list.finish(), "ARRAY<DATETIME>");
        assert_eq!(listed, ["[2026-11-22T18:00:00, ]", ""]);

        let mut map = MapBuilder::new(
            None,
            StringBuilder::new(),
            TimestampMillisecondBuilder::new(),
        );
        map.keys().append_value("paid");
        map.values().append_value(NOON_MS);
        map.append(true).unwrap();
        let mapped = shown(map.finish(), "MAP<STRING,DATETIME>");
        assert_eq!(mapped, ["{paid: 2026-11-22T18:00:00}"]);

        let part: ArrayRef = Arc::new(milliseconds);
        let parts = StructArray::try_from(vec![("at", part)]).unwrap();
        let parts = shown(parts, "STRUCT<at:DATETIME>");
        assert_eq!(parts[0], "{at: 2026-11-22T18:00:00}");
        for (column_type, expected) in [
            ("ARRAY<STRUCT<a:INT,at:DATETIME>>", true),
            ("MAP<STRING,TIMESTAMP>", true),
            ("ARRAY<TIMESTAMP_NTZ>", false),
            ("STRING", false),
        ] {
            let found = has_instants(&column_type.parse().unwrap());
            assert_eq!(found, expected, "{column_type}");
        }
    }
}
