//! A table's Parquet files as a virtual table of SQLite.
//!
//! SQLite's planner hands down which columns a statement reads and how it compares the partition keys; only the files of
//! partitions that can match are opened, only those columns are decoded, and one batch is in memory at a time.
//!
//! Columns, in order: the data columns `c0`…, the partition keys, and for each partition key a hidden `n0`… that holds
//! the key's text as a number, for comparisons of a STRING key with a number.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::vtab::{
    Context, CreateVTab, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection,
    VTabCursor, VTabKind, sqlite3_vtab, sqlite3_vtab_cursor,
};
use rusqlite::{Connection, Error, Result};

use super::value;
use crate::maxcompute::catalog::{Snapshot, SnapshotFile};
use crate::maxcompute::table::Table;

/// Name of the module in `CREATE VIRTUAL TABLE`.
const MODULE_NAME: &str = "maxcompute";
/// Rows that the planner assumes for a whole table; each constraint on a partition key divides by ten.
const ASSUMED_ROWS: i64 = 1_000_000;
/// From this column on SQLite reports the columns in use by one common bit.
const LAST_USED_BIT: usize = 63;

/// A table of a query with its files.
#[derive(Debug)]
pub(crate) struct TableData {
    pub(crate) table: Table,
    pub(crate) snapshot: Snapshot,
}

impl TableData {
    /// Number of data columns.
    fn width(&self) -> usize {
        self.table.columns.columns.len()
    }

    fn keys(&self) -> usize {
        self.table.columns.partition_keys.len()
    }

    fn declaration(&self) -> String {
        let columns = (0..self.width() + self.keys()).map(|position| format!("c{position}"));
        let numbers = (0..self.keys()).map(|position| format!("n{position} HIDDEN"));
        let columns: Vec<String> = columns.chain(numbers).collect();
        format!("CREATE TABLE x ({})", columns.join(", "))
    }
}

/// Makes `tables` readable as `v0`, `v1`, … of `connection`.
pub(crate) fn register(connection: &Connection, tables: Vec<Arc<TableData>>) -> Result<()> {
    const MODULE: Module<'_, ParquetTable> = Module::read_only_module();
    let count = tables.len();
    connection.create_module(MODULE_NAME, &MODULE, Some(tables))?;
    for position in 0..count {
        connection.execute_batch(&format!(
            "CREATE VIRTUAL TABLE temp.v{position} USING {MODULE_NAME}({position})"
        ))?;
    }
    Ok(())
}

#[repr(C)]
struct ParquetTable {
    base: sqlite3_vtab,
    data: Arc<TableData>,
}

#[expect(
    unsafe_code,
    reason = "the trait asks for #[repr(C)] with the base first, as it is here"
)]
// SAFETY: the struct is `repr(C)` and begins with `sqlite3_vtab`.
unsafe impl<'vtab> VTab<'vtab> for ParquetTable {
    type Aux = Vec<Arc<TableData>>;
    type Cursor = ParquetCursor<'vtab>;

    fn connect(
        _db: &mut VTabConnection,
        aux: Option<&Self::Aux>,
        _module_name: &[u8],
        _database_name: &[u8],
        _table_name: &[u8],
        args: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, Self)> {
        let position = args.first().and_then(|arg| std::str::from_utf8(arg).ok());
        let position = position.and_then(|position| position.trim().parse::<usize>().ok());
        let data = position.and_then(|position| aux?.get(position));
        let data = data.ok_or_else(|| Error::ModuleError("no such table".to_owned()))?;
        let declaration = CString::new(data.declaration())?;
        let table = Self {
            base: sqlite3_vtab::default(),
            data: Arc::clone(data),
        };
        Ok((Cow::Owned(declaration), table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let mut plan = Plan {
            used: info.col_used(),
            tests: Vec::new(),
        };
        let mut rows = ASSUMED_ROWS;
        for (constraint, mut usage) in info.constraints_and_usages() {
            let column = usize::try_from(constraint.column()).ok();
            let key = column.and_then(|column| column.checked_sub(self.data.width()));
            let operator = Operator::of(&constraint.operator());
            let (Some(key), Some(operator), true) = (key, operator, constraint.is_usable()) else {
                continue;
            };
            plan.tests.push((key, operator));
            // SQLite still checks every row: pruning may keep too much, never too little.
            usage.set_argv_index(c_int::try_from(plan.tests.len()).unwrap_or(c_int::MAX));
            rows = (rows / 10).max(1);
        }
        info.set_estimated_rows(rows);
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        info.set_estimated_cost(rows as f64);
        info.set_idx_str(&plan.to_text());
        Ok(true)
    }

    fn open(&'vtab mut self) -> Result<Self::Cursor> {
        Ok(ParquetCursor {
            base: sqlite3_vtab_cursor::default(),
            data: Arc::clone(&self.data),
            columns: Vec::new(),
            slots: Vec::new(),
            files: VecDeque::new(),
            reader: None,
            keys: Vec::new(),
            batch: None,
            length: 0,
            row: 0,
            rowid: 0,
            table: PhantomData,
        })
    }
}

impl CreateVTab<'_> for ParquetTable {
    const KIND: VTabKind = VTabKind::Default;
}

/// What `best_index` tells the cursor, as the text that SQLite carries between them.
#[derive(Debug, PartialEq)]
struct Plan {
    /// Columns in use, a bit each.
    used: u64,
    /// Tests of partition keys and their numbers, in the order of the arguments.
    tests: Vec<(usize, Operator)>,
}

impl Plan {
    fn to_text(&self) -> String {
        let test = |(key, operator): &(usize, Operator)| format!(";{key}{}", operator.letter());
        let tests = self.tests.iter().map(test);
        [format!("{:x}", self.used)]
            .into_iter()
            .chain(tests)
            .collect()
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let used = u64::from_str_radix(parts.next()?, 16).ok()?;
        let parse = |part: &str| {
            let letter = part.chars().next_back()?;
            let key = part.strip_suffix(letter)?.parse().ok()?;
            Some((key, Operator::from_letter(letter)?))
        };
        Some(Self {
            used,
            tests: parts.map(parse).collect::<Option<_>>()?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    const ALL: [(Self, char); 5] = [
        (Self::Equal, 'e'),
        (Self::Less, 'l'),
        (Self::LessOrEqual, 'm'),
        (Self::Greater, 'g'),
        (Self::GreaterOrEqual, 'h'),
    ];

    fn of(operator: &IndexConstraintOp) -> Option<Self> {
        Some(match operator {
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => Self::Equal,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => Self::Less,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE => Self::LessOrEqual,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => Self::Greater,
            IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn letter(self) -> char {
        Self::ALL
            .into_iter()
            .find(|(operator, _)| *operator == self)
            .map_or('e', |(_, letter)| letter)
    }

    fn from_letter(letter: char) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| *known == letter)
            .map(|(operator, _)| operator)
    }

    /// Whether `key operator wanted` may hold. Values that SQLite would convert first are left to it.
    fn may_hold(self, key: &Value, wanted: ValueRef<'_>) -> bool {
        let order = match (ValueRef::from(key), wanted) {
            (ValueRef::Null, _) | (_, ValueRef::Null) => return false,
            (ValueRef::Text(key), ValueRef::Text(wanted)) => Some(key.cmp(wanted)),
            (ValueRef::Integer(key), ValueRef::Integer(wanted)) => Some(key.cmp(&wanted)),
            (
                key @ (ValueRef::Integer(_) | ValueRef::Real(_)),
                ValueRef::Integer(_) | ValueRef::Real(_),
            ) => {
                // Large integers lose digits here, so only a clear difference counts.
                value::as_f64(key)
                    .zip(value::as_f64(wanted))
                    .and_then(|(key, wanted)| {
                        key.partial_cmp(&wanted).filter(|order| order.is_ne())
                    })
            }
            _ => None,
        };
        let Some(order) = order else { return true };
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// Reads the rows of one scan.
#[repr(C)]
struct ParquetCursor<'vtab> {
    base: sqlite3_vtab_cursor,
    data: Arc<TableData>,
    /// Data columns that are decoded, in order.
    columns: Vec<usize>,
    /// For each data column its position in the batch, where it is decoded.
    slots: Vec<Option<usize>>,
    files: VecDeque<SnapshotFile>,
    reader: Option<ParquetRecordBatchReader>,
    /// The current file's partition keys, then the same as numbers.
    keys: Vec<Value>,
    /// `None` where no data column is in use: then only the number of rows matters.
    batch: Option<RecordBatch>,
    /// Rows of the batch.
    length: usize,
    row: usize,
    rowid: i64,
    table: PhantomData<&'vtab ParquetTable>,
}

impl ParquetCursor<'_> {
    fn begin(&mut self, plan: &Plan, args: &Filters<'_>) -> Result<()> {
        let used = |column: usize| plan.used >> column.min(LAST_USED_BIT) & 1 == 1;
        self.columns = (0..self.data.width())
            .filter(|column| used(*column))
            .collect();
        self.slots = vec![None; self.data.width()];
        for (slot, column) in self.columns.iter().enumerate() {
            self.slots[*column] = Some(slot);
        }
        let wanted = args.iter().collect::<Vec<ValueRef<'_>>>();
        let data = Arc::clone(&self.data);
        let matching = data.snapshot.files.iter().filter(|file| {
            let keys = key_values(&data.table, &file.values);
            let mut tests = plan.tests.iter().zip(&wanted);
            tests.all(|((key, operator), wanted)| {
                keys.get(*key)
                    .is_none_or(|key| operator.may_hold(key, *wanted))
            })
        });
        self.files = matching.cloned().collect();
        self.reader = None;
        self.batch = None;
        self.length = 0;
        self.row = 0;
        self.rowid = 0;
        self.settle()
    }

    /// Moves on to the next batch or file until there is a row, or nothing is left.
    fn settle(&mut self) -> Result<()> {
        while self.row >= self.length {
            self.row = 0;
            self.length = 0;
            if let Some(reader) = &mut self.reader {
                match reader.next() {
                    Some(Ok(batch)) => {
                        self.length = batch.num_rows();
                        self.batch = Some(batch);
                        continue;
                    }
                    Some(Err(error)) => return Err(module_error(&error)),
                    None => self.reader = None,
                }
            }
            let Some(file) = self.files.pop_front() else {
                self.batch = None;
                return Ok(());
            };
            self.keys = key_values(&self.data.table, &file.values);
            let rows = usize::try_from(file.rows).map_err(|error| module_error(&error))?;
            if self.columns.is_empty() {
                self.length = rows;
            } else {
                let files = self.data.snapshot.catalog().files();
                let reader = files.read(&file.name, &self.columns, 0, rows);
                self.reader = Some(reader.map_err(|error| module_error(&error))?);
            }
        }
        Ok(())
    }
}

#[expect(
    unsafe_code,
    reason = "the trait asks for #[repr(C)] with the base first, as it is here"
)]
// SAFETY: the struct is `repr(C)` and begins with `sqlite3_vtab_cursor`.
unsafe impl VTabCursor for ParquetCursor<'_> {
    fn filter(&mut self, _idx_num: c_int, idx_str: Option<&str>, args: &Filters<'_>) -> Result<()> {
        let plan = idx_str.and_then(Plan::from_text);
        let plan = plan.ok_or_else(|| Error::ModuleError("a plan of another table".to_owned()))?;
        self.begin(&plan, args)
    }

    fn next(&mut self) -> Result<()> {
        self.row += 1;
        self.rowid += 1;
        self.settle()
    }

    fn eof(&self) -> bool {
        self.row >= self.length
    }

    fn column(&self, ctx: &mut Context, column: c_int) -> Result<()> {
        let column = usize::try_from(column).unwrap_or(usize::MAX);
        if let Some(key) = column.checked_sub(self.data.width()) {
            return match self.keys.get(key) {
                Some(value) => ctx.set_result(ToSqlOutput::Borrowed(value.into())),
                None => Ok(()),
            };
        }
        let slot = self.slots.get(column).copied().flatten();
        let array = slot
            .zip(self.batch.as_ref())
            .and_then(|(slot, batch)| batch.columns().get(slot));
        match (array, self.data.table.columns.columns.get(column)) {
            (Some(array), Some(definition)) => ctx.set_result(value::cell(
                array.as_ref(),
                self.row,
                &definition.column_type,
            )),
            _ => Ok(()),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.rowid)
    }
}

/// Partition values by their types, then all of them as numbers.
fn key_values(table: &Table, values: &[String]) -> Vec<Value> {
    let typed = table
        .columns
        .partition_keys
        .iter()
        .zip(values)
        .map(|(key, text)| {
            match value::integer_range(&key.column_type).and_then(|_| text.parse().ok()) {
                Some(number) => Value::Integer(number),
                None => Value::Text(text.clone()),
            }
        });
    typed
        .chain(values.iter().map(|text| value::number_of(text)))
        .collect()
}

fn module_error(error: &dyn std::fmt::Display) -> Error {
    Error::ModuleError(format!("a stored file can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_survive_their_text() {
        let plan = Plan {
            used: 5,
            tests: vec![(0, Operator::Equal), (12, Operator::GreaterOrEqual)],
        };
        assert_eq!(plan.to_text(), "5;0e;12h");
        assert_eq!(Plan::from_text("5;0e;12h"), Some(plan));
        assert_eq!(Plan::from_text("5;x"), None);
    }

    #[test]
    fn pruning_never_drops_what_sqlite_could_keep() {
        let text = Value::Text("01".to_owned());
        assert!(Operator::Equal.may_hold(&text, ValueRef::Text(b"01")));
        assert!(!Operator::Equal.may_hold(&text, ValueRef::Text(b"1")));
        assert!(Operator::Equal.may_hold(&text, ValueRef::Integer(7)));
        assert!(!Operator::Equal.may_hold(&Value::Integer(1), ValueRef::Real(2.0)));
        assert!(Operator::Equal.may_hold(
            &Value::Integer(i64::MAX),
            ValueRef::Real(9.223_372_036_854_776e18)
        ));
        assert!(!Operator::Greater.may_hold(&Value::Null, ValueRef::Integer(1)));
    }
}
