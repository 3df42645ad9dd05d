//! Columns for the fields of a sample.

use engine_model::job::is_writable;
use engine_model::{Column, ColumnType, FieldPath};

use super::name::Names;
use super::{FieldFigures, PayloadSample, SampledField};

/// Objects that are this many steps below the top level become one column, with their JSON in it.
const OBJECT_DEPTH_MAX: usize = 5;
/// An object with more keys than this may be a map, whose keys are values, and no record.
const RECORD_KEYS_MAX: usize = 32;
/// A map is one whose keys are in less than one of so many of its objects, on average.
const MAP_KEY_SHARE: u64 = 4;
/// Fractions with more digits than this are measured rather than counted, and become DOUBLE.
const DECIMAL_DIGITS_MAX: u64 = 4;

/// Columns for the fields of a sample.
#[derive(Clone, Debug, Default)]
pub struct Inference {
    /// The columns, in the order in which their fields were seen first.
    pub columns: Vec<InferredColumn>,
    /// Paths of fields for which there is no column: a job file can't name them, or the table would have too many.
    pub left_out: Vec<String>,
}

/// A column for a field.
#[derive(Clone, Debug)]
pub struct InferredColumn {
    /// The column, which takes NULL and has no comment.
    pub column: Column,
    /// Where its values come from.
    pub path: FieldPath,
    /// What was seen of the field.
    pub figures: FieldFigures,
    /// Why the column has this type, in words.
    pub evidence: String,
}

impl PayloadSample {
    /// Proposes a column for each field that is no object, `columns_max` at most, under names that are not `taken`.
    ///
    /// | values other than null | column |
    /// |---|---|
    /// | booleans | BOOLEAN |
    /// | integers | BIGINT where all of them fit, else DECIMAL(38,0), else STRING |
    /// | numbers of up to 4 digits after the point, none with an exponent | DECIMAL(38,18) where all of them fit |
    /// | other numbers | DOUBLE where all of them fit, else STRING |
    /// | strings that all read as days | DATE |
    /// | strings that all read as instants | DATETIME; TIMESTAMP where some are finer than a millisecond and it reaches all |
    /// | other strings, and values of several kinds | STRING |
    /// | arrays, and objects without a known shape or far down | STRING, with their JSON |
    /// | none | STRING |
    pub fn infer<'n>(
        &self,
        taken: impl IntoIterator<Item = &'n str>,
        columns_max: usize,
    ) -> Inference {
        let mut leaves = Vec::new();
        if let Some(top) = self.top() {
            add_leaves(top, 0, &mut leaves);
        }
        let mut names = Names::new(taken);
        let mut inference = Inference::default();
        for field in leaves {
            let Some(path) = field.field_path().filter(is_writable) else {
                inference.left_out.push(field.path());
                continue;
            };
            if inference.columns.len() == columns_max {
                inference.left_out.push(field.path());
                continue;
            }
            let (column_type, evidence) = column_type(field);
            inference.columns.push(InferredColumn {
                column: Column::new(names.name(&path), column_type),
                path,
                figures: field.figures().clone(),
                evidence,
            });
        }
        inference
    }
}

/// Adds the fields that become columns: `field`, or those within it.
fn add_leaves<'a>(field: SampledField<'a>, depth: usize, leaves: &mut Vec<SampledField<'a>>) {
    let kinds = &field.figures().kinds;
    // Messages without the fields of the top level have NULL in them, whatever they are.
    let is_record = kinds.objects > 0 && (depth == 0 || kinds.objects == kinds.values());
    let children = field.children();
    let is_map = depth > 0 && is_map(field);
    if !is_record || children.is_empty() || is_map || depth >= OBJECT_DEPTH_MAX {
        leaves.push(field);
        return;
    }
    for child in children {
        if child.field_path().is_some() {
            add_leaves(child, depth + 1, leaves);
        }
    }
}

/// Whether an object has values for keys, such as numbers of orders: many keys, and each in few of its objects.
fn is_map(field: SampledField<'_>) -> bool {
    let children = field.children();
    let objects = field.figures().kinds.objects;
    let found: u64 = children.iter().map(|child| child.figures().messages).sum();
    children.len() > RECORD_KEYS_MAX && found * MAP_KEY_SHARE < objects * children.len() as u64
}

/// The type of the column for a field, and why.
fn column_type(field: SampledField<'_>) -> (ColumnType, String) {
    let figures = field.figures();
    let kinds = &figures.kinds;
    let named = kinds.named().into_iter();
    let several = named.filter(|(name, count)| *name != "null" && *count > 0);
    if kinds.values() == 0 {
        return (ColumnType::String, "always null".to_owned());
    }
    if kinds.integers + kinds.fractions == kinds.values() {
        return number_type(figures);
    }
    if several.count() > 1 {
        return (ColumnType::String, "values of several kinds".to_owned());
    }
    if kinds.booleans > 0 {
        return (ColumnType::Boolean, "all booleans".to_owned());
    }
    if kinds.strings > 0 {
        return string_type(figures);
    }
    let why = match (kinds.arrays > 0, field.children().is_empty()) {
        (true, _) => "an array, as JSON",
        (false, true) => "an object without fields, as JSON",
        (false, false) if is_map(field) => "an object with keys of many kinds, as JSON",
        (false, false) => "an object far down, as JSON",
    };
    (ColumnType::String, why.to_owned())
}

fn number_type(figures: &FieldFigures) -> (ColumnType, String) {
    let kinds = &figures.kinds;
    if kinds.fractions == 0 {
        if figures.fits_big_int() {
            let integers = kinds.integers;
            let why = if figures.epoch_ms == integers {
                "ms since the epoch? then DATETIME with `format: epoch_ms`"
            } else if figures.epoch_s == integers {
                "seconds since the epoch? then DATETIME with `format: epoch_s`"
            } else {
                "all integers"
            };
            return (ColumnType::BigInt, why.to_owned());
        }
        return match figures.decimal() {
            Some(decimal) => (decimal, "integers beyond BIGINT".to_owned()),
            None => (
                ColumnType::String,
                "integers of more than 38 digits".to_owned(),
            ),
        };
    }
    if figures.beyond_float > 0 {
        return (ColumnType::String, "numbers beyond DOUBLE".to_owned());
    }
    let (before, after) = (figures.digits_before_point, figures.digits_after_point);
    let digits = format!("digits before and after the point: {before} and {after}");
    if figures.exponents > 0 {
        return (
            ColumnType::Double,
            "numbers with exponents, as the nearest float".to_owned(),
        );
    }
    match figures.decimal() {
        Some(decimal) if after <= DECIMAL_DIGITS_MAX => (decimal, digits),
        _ => (
            ColumnType::Double,
            format!("{digits}; as the nearest float"),
        ),
    }
}

fn string_type(figures: &FieldFigures) -> (ColumnType, String) {
    let strings = &figures.strings;
    if figures.all_strings(strings.dates) {
        return (ColumnType::Date, "all days".to_owned());
    }
    if figures.all_strings(strings.instants) {
        let zone = match strings.without_offset {
            0 => "",
            _ => ", read in the job's time zone where there is no offset",
        };
        if strings.beyond_ms == 0 {
            return (
                ColumnType::DateTime,
                format!("all instants to the ms{zone}"),
            );
        }
        if figures.all_strings(strings.timestamps) {
            let why = format!("all instants, some finer than ms{zone}");
            return (ColumnType::Timestamp, why);
        }
        let why = "instants finer than ms, some beyond TIMESTAMP's years";
        return (ColumnType::String, why.to_owned());
    }
    let why = if figures.all_strings(strings.integers) {
        "strings that all read as integers"
    } else if figures.all_strings(strings.decimals) {
        "strings that all read as numbers"
    } else if figures.all_strings(strings.booleans) {
        "strings that all read as booleans"
    } else {
        "strings"
    };
    (ColumnType::String, why.to_owned())
}
