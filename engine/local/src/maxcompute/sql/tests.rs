//! SQL by table: statement in, rows or error out.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::{Engine, Outcome, csv, nested};
use crate::maxcompute::catalog::{Catalog, Upload, UploadStatus};
use crate::maxcompute::types::arrow_schema;

struct Fixture {
    folder: TempDir,
    catalog: Arc<Catalog>,
    results: std::cell::Cell<u32>,
}

impl Fixture {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let catalog = Catalog::open(folder.path()).unwrap();
        Self {
            folder,
            catalog,
            results: std::cell::Cell::new(0),
        }
    }

    fn run(&self, sql: &str) -> Result<Outcome, String> {
        self.results.set(self.results.get() + 1);
        let engine = Engine {
            catalog: Arc::clone(&self.catalog),
            project: "p".to_owned(),
            zone: TimeZone::UTC,
            now: "2026-03-02T03:04:05Z".parse::<Timestamp>().unwrap(),
            result_id: format!("r{}", self.results.get()),
        };
        engine.run(sql, |_| ()).map_err(|error| error.to_string())
    }

    /// Runs DDL, or a text statement, and returns the text.
    fn text(&self, sql: &str) -> String {
        match self
            .run(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
        {
            Outcome::Text(text) => text,
            Outcome::Rows(_) => panic!("{sql} has rows"),
        }
    }

    /// The rows of a query: cells joined by `|`, rows by a space.
    fn rows(&self, sql: &str) -> String {
        match self
            .run(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
        {
            Outcome::Rows(rows) => {
                let csv = csv(&self.catalog, &rows, &TimeZone::UTC).unwrap();
                csv.lines()
                    .skip(1)
                    .map(|line| cells(line).join("|"))
                    .collect::<Vec<_>>()
                    .join(" ")
            }
            Outcome::Text(_) => panic!("{sql} has no rows"),
        }
    }

    fn types(&self, sql: &str) -> String {
        match self.run(sql).unwrap() {
            Outcome::Rows(rows) => {
                let columns = rows
                    .columns
                    .iter()
                    .map(|column| format!("{} {}", column.name, column.column_type));
                columns.collect::<Vec<_>>().join(", ")
            }
            Outcome::Text(_) => panic!("{sql} has no rows"),
        }
    }

    /// Adds rows, given as JSON objects, to a table partition.
    fn insert(&self, table: &str, values: &[&str], rows: &[&str]) {
        let table = self.catalog.table(table).unwrap().unwrap();
        let schema = arrow_schema(&table.columns.columns);
        let id = format!("{}-{}", table.name, values.join("-"));
        let structure = arrow::datatypes::DataType::Struct(schema.fields().clone());
        let field = Arc::new(arrow::datatypes::Field::new("row", structure, true));
        let rows: Vec<Option<String>> = rows.iter().map(|row| Some((*row).to_owned())).collect();
        let array = nested::read(&field, &rows).unwrap();
        let batch = arrow::array::RecordBatch::from(
            arrow::array::AsArray::as_struct(array.as_ref()).clone(),
        );
        let batch =
            arrow::array::RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())
                .unwrap();
        let mut writer = self.catalog.files().create(&id, schema).unwrap();
        writer.write(&batch).unwrap();
        let file = writer.finish().unwrap();
        let upload = Upload {
            id,
            table_id: table.id,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            overwrite: false,
            status: UploadStatus::Normal,
            created_ms: 0,
            blocks: Vec::new(),
        };
        self.catalog.create_upload(&upload, true).unwrap();
        self.catalog
            .put_block(&upload.id, 0, 0, file.as_ref(), 0)
            .unwrap();
        self.catalog.commit_upload(&upload.id, 0).unwrap();
    }
}

/// The cells of a line of CSV: quoted ones and `\N`.
fn cells(line: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        rest = rest.strip_prefix(',').unwrap_or(rest);
        if let Some(after) = rest.strip_prefix("\\N") {
            cells.push("\\N".to_owned());
            rest = after;
            continue;
        }
        let mut cell = String::new();
        rest = rest.strip_prefix('"').unwrap();
        loop {
            let (part, after) = rest.split_once('"').unwrap();
            cell.push_str(part);
            rest = after;
            match rest.strip_prefix('"') {
                Some(after) => {
                    cell.push('"');
                    rest = after;
                }
                None => break,
            }
        }
        cells.push(cell);
    }
    cells
}

/// `orders`, partitioned by a STRING `pt` and a BIGINT `hh`.
fn orders() -> Fixture {
    let fixture = Fixture::new();
    fixture.text(
        "CREATE TABLE p.`Orders` (\n `id` BIGINT, city STRING COMMENT 'where', amount DECIMAL(12,2),
         score DOUBLE, paid DATETIME, ok BOOLEAN, tags ARRAY<STRING>, raw STRING
         ) PARTITIONED BY (pt STRING, hh BIGINT) LIFECYCLE 7;",
    );
    fixture.insert("orders", &["01", "3"], &[
        r#"{"id":1,"city":"Berlin","amount":"9.90","score":0.5,"paid":"2026-03-02T03:04:05","ok":true,"tags":["a","b"],"raw":"{\"k\":{\"n\":7}}"}"#,
        r#"{"id":2,"city":"Paris","amount":"10.00","score":"NaN","paid":"2026-03-03T00:00:00","ok":false,"tags":[]}"#,
        r#"{"id":3,"city":"Berlin","ok":null,"tags":null}"#,
    ]);
    fixture.insert(
        "orders",
        &["2", "4"],
        &[r#"{"id":9007199254740993,"city":"ber%lin","amount":"-1.50","score":1.5,"ok":true}"#],
    );
    fixture
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn queries() {
    let fixture = orders();
    for (sql, expected) in [
        ("select count(*) from orders", "4"),
        ("select count(*) from p.orders where pt = '01'", "3"),
        // A STRING key beside a number compares as a number, in every form.
        ("select count(*) from `p`.`orders` where pt=1", "3"),
        ("select count(*) from orders where pt=01 and hh='3'", "3"),
        ("select count(*) from orders where pt in (2, 7)", "1"),
        ("select count(*) from orders where pt >= 2 and pt < 10", "1"),
        (
            "select count(*) from orders where pt between 0 and 1.5",
            "3",
        ),
        ("select count(*) from orders where pt = '1'", "0"),
        ("select count(*) from orders o where o.hh <> 3", "1"),
        (
            "select id from orders where id = 9007199254740993",
            "9007199254740993",
        ),
        (
            "select id from orders where '9007199254740993' = id",
            "9007199254740993",
        ),
        (
            "select id from orders where city = 'Berlin' order by id desc",
            "3 1",
        ),
        (
            "select id, city from orders where pt='01' order by city desc, 1 limit 2",
            "2|Paris 1|Berlin",
        ),
        ("select id from orders order by id limit 1, 2", "2 3"),
        ("select id from orders order by id limit 2 offset 1", "2 3"),
        // Decimals compare by value and add exactly.
        ("select id from orders where amount > 9.95BD", "2"),
        ("select id from orders where amount = '9.9'", "1"),
        (
            "select id from orders where amount in (10, 9.900BD) order by id",
            "1 2",
        ),
        ("select max(amount), min(amount) from orders", "10.00|-1.50"),
        (
            "select id from orders where amount is not null order by amount",
            "9007199254740993 1 2",
        ),
        (
            "select sum(amount), avg(amount) from orders where pt='01'",
            "19.900000000000000000|9.950000000000000000",
        ),
        (
            "select amount * 2, amount + id from orders where id = 1",
            "19.800000000000000000|10.900000000000000000",
        ),
        // NULL and NaN.
        (
            "select count(amount), count(distinct city), count(*) from orders",
            "3|3|4",
        ),
        (
            "select id from orders where amount is null or not ok order by id",
            "2 3",
        ),
        (
            "select score + 1 from orders where id in (1, 2) order by id",
            "1.5 NaN",
        ),
        ("select sum(score) from orders where id <> 2", "2.0"),
        (
            "select coalesce(amount, 0), nvl(city, 'x') from orders where id = 3",
            "0.000000000000000000|Berlin",
        ),
        // Groups.
        (
            "select city, count(*) c from orders group by city having count(*) > 1",
            "Berlin|2",
        ),
        (
            "select lower(city) l, sum(id) from orders where pt='01' group by lower(city) order by l",
            "berlin|4 paris|2",
        ),
        (
            "select c, count(1) from (select city c from orders) t group by 1 order by c",
            "Berlin|2 Paris|1 ber%lin|1",
        ),
        (
            "with t as (select * from orders where ok) select max(id) from t",
            "9007199254740993",
        ),
        (
            "select distinct city from orders where pt='01' order by city",
            "Berlin Paris",
        ),
        (
            "select a.id, b.id from orders a join orders b on a.city = b.city and a.id < b.id",
            "1|3",
        ),
        (
            "select a.id from orders a left join (select id from orders where id < 3) b on a.id=b.id where b.id is null order by id limit 1",
            "3",
        ),
        (
            "select id from orders where id in (select max(id) from orders group by city) order by id",
            "2 3 9007199254740993",
        ),
        ("select (select count(*) from orders) - 1", "3"),
        ("select 1 a union all select 2 order by a desc", "2 1"),
        (
            "select id, row_number() over (partition by city order by id desc) n from orders where city='Berlin' order by n",
            "3|1 1|2",
        ),
        // Text.
        (
            "select city from orders where city like 'ber\\%%'",
            "ber%lin",
        ),
        (
            "select id from orders where city like 'B%'  order by id",
            "1 3",
        ),
        (
            "select concat(city, '-', id), substr(city, 2, 3), length('日本') from orders where id=1",
            "Berlin-1|erl|2",
        ),
        (
            "select get_json_object(raw, '$.k.n'), upper(city), instr(city, 'l') from orders where id=1",
            "7|BERLIN|4",
        ),
        (
            "select concat(city, null), concat_ws('-', 'a', null, 'b') from orders where id=1",
            "\\N|a-b",
        ),
        (
            "select if(ok, 'y', 'n'), case when score > 1 then 'big' else 'small' end from orders where id=1",
            "y|small",
        ),
        (
            "select case city when 'Paris' then 1 end from orders where pt=1 order by id",
            "\\N 1 \\N",
        ),
        // Dates.
        ("select id from orders where paid >= '2026-03-03'", "2"),
        (
            "select to_char(paid, 'yyyymmdd'), year(paid), paid from orders where id=1",
            "20260302|2026|2026-03-02 03:04:05",
        ),
        (
            "select datediff(paid, '2026-02-28'), dateadd(paid, 1, 'mm') from orders where id=1",
            "2|2026-04-02 03:04:05",
        ),
        (
            "select cast(paid as date), cast('2026-03-02' as datetime) from orders where id=2",
            "2026-03-03|2026-03-02 00:00:00",
        ),
        (
            "select getdate(), to_date('20260302', 'yyyymmdd')",
            "2026-03-02 03:04:05|2026-03-02 00:00:00",
        ),
        // Numbers.
        ("select 7 / 2, 7 div 2, 7 % 4, 1 / 0, -7", "3.5|3|3|\\N|-7"),
        (
            "select cast('12abc' as bigint), cast(1.9 as int), cast('1.5' as double), round(2.5)",
            "\\N|1|1.5|3.0",
        ),
        (
            "select -9223372036854775808, 1e3, true, null",
            "-9223372036854775808|1000.0|true|\\N",
        ),
        (
            "select max_pt('p.orders'), greatest(1, 2.5), floor(-1.5), abs(-3)",
            "2|2.5|-2|3",
        ),
        (
            "set odps.sql.x=a:b/c; select 'it''s', 'a\\'b\"c', \"d\"",
            "its|a'b\"c|d",
        ),
        // Nested values come through whole.
        (
            "select tags from orders where pt=1 order by id",
            "[\"a\",\"b\"] [] \\N",
        ),
    ] {
        assert_eq!(fixture.rows(sql), expected, "{sql}");
    }
}

#[test]
fn results_have_maxcomputes_types() {
    let fixture = orders();
    for (sql, expected) in [
        (
            "select * from orders limit 0",
            "id BIGINT, city STRING, amount DECIMAL(12,2), score DOUBLE, paid DATETIME, ok BOOLEAN, tags ARRAY<STRING>, raw STRING, pt STRING, hh BIGINT",
        ),
        (
            "select count(*), sum(id) s, avg(id), sum(amount), max(paid) M from orders",
            "_c0 BIGINT, s BIGINT, _c2 DOUBLE, _c3 DECIMAL(38,18), m DATETIME",
        ),
        (
            "select coalesce(1, 2.5), if(true, 1, '2'), null, cast(1 as tinyint)",
            "_c0 DOUBLE, _c1 STRING, _c2 STRING, _c3 TINYINT",
        ),
        (
            "select o.city, tags t from orders o where false",
            "city STRING, t ARRAY<STRING>",
        ),
    ] {
        assert_eq!(fixture.types(sql), expected, "{sql}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn errors_are_worded_as_the_services() {
    let fixture = orders();
    for (sql, expected) in [
        (
            "select from",
            "ODPS-0130161:[1,8] Parse exception - invalid token 'from', expect an expression",
        ),
        (
            "selec 1",
            "ODPS-0130161:[1,1] Parse exception - invalid token 'selec'",
        ),
        (
            "select 'a",
            "ODPS-0130161:[1,8] Parse exception - the string has no end",
        ),
        (
            "select nope\nfrom orders",
            "ODPS-0130071:[1,8] Semantic analysis exception - column nope cannot be resolved",
        ),
        (
            "select frob(1)",
            "ODPS-0130071:[1,8] Semantic analysis exception - function frob cannot be resolved",
        ),
        (
            "select *\nfrom nowhere",
            "ODPS-0130131:[2,6] Table not found - table p.nowhere cannot be resolved",
        ),
        (
            "select * from q.orders",
            "ODPS-0130131:[1,15] Table not found - table q.orders cannot be resolved",
        ),
        (
            "select city, count(*) from orders",
            "column reference city should appear in GROUP BY key",
        ),
        (
            "select id from orders where count(*) > 1",
            "function count is not allowed here",
        ),
        (
            "select id from orders a join orders b on a.id=b.id",
            "column id is ambiguous",
        ),
        (
            "select id from orders where id",
            "expect a BOOLEAN, found BIGINT",
        ),
        (
            "select id from orders where tags = 'a'",
            "ARRAY<STRING> and STRING can't be compared",
        ),
        (
            "insert into orders values (1)",
            "table orders has 2 partition keys, PARTITION names 0",
        ),
        (
            "insert into orders partition (pt='1', hh='2') values (1)",
            "wrong columns count 1 in data source, requires 8 columns",
        ),
        (
            "insert into orders partition (pt, hh='2') (id) values (1, 'x')",
            "partition key hh has a value, and a key before it has none",
        ),
        (
            "insert into orders partition (pt='1', ds='2') (id) values (1)",
            "PARTITION does not name key hh",
        ),
        (
            "insert into orders partition (pt='1', hh='2') (id, nope) values (1, 2)",
            "column nope cannot be resolved",
        ),
        (
            "insert into orders partition (pt='1', hh='2') (id, ID) values (1, 2)",
            "column ID is named twice",
        ),
        (
            "insert into orders partition (pt='1', hh='2') (id) select city from orders",
            "column city in source has incompatible type STRING with destination column id, which has type BIGINT",
        ),
        (
            "insert into orders partition (pt='1', hh='2') (amount) values ('x')",
            "value \"x\" cannot be casted from STRING to DECIMAL(12,2)",
        ),
        (
            "insert into orders partition (pt='1', hh='2') (amount) values (12345678901)",
            "value \"12345678901\" cannot be casted from BIGINT to DECIMAL(12,2)",
        ),
        (
            "insert into orders partition (pt='1', hh) (id, city) select 1, 'x', null",
            "a row has NULL for partition key hh",
        ),
        (
            "insert into orders partition (pt='', hh='2') (id) values (1)",
            "invalid partition value",
        ),
        ("drop table nowhere", "ODPS-0130131:[1,12] Table not found"),
        (
            "create table orders (a bigint)",
            "Table or view already exists - table p.orders",
        ),
        (
            "create table x (a bigint, A string)",
            "column a is there twice",
        ),
        (
            "create table x (a nope)",
            "ODPS-0130161:[1,19] Parse exception",
        ),
        (
            "create table x (a bigint) lifecycle 0",
            "a lifecycle of 0 days",
        ),
        (
            "create table x (a bigint) clustered by (a)",
            "only COMMENT, PARTITIONED BY",
        ),
        (
            "create table x (a bigint) partitioned by (d double)",
            "a partition key can't be DOUBLE",
        ),
        ("create table 1x (a bigint)", "ODPS-0130161"),
        (
            "alter table orders add partition (pt='01', hh='3')",
            "Partition already exists",
        ),
        (
            "alter table orders add partition (pt='x')",
            "2 partition keys, the partition names 1",
        ),
        (
            "alter table orders add partition (pt='', hh=1)",
            "invalid partition value",
        ),
        (
            "alter table orders drop partition (pt='9', hh=9)",
            "the specified partition does not exist",
        ),
        (
            "alter table orders rename to x",
            "only ADD PARTITION and DROP PARTITION",
        ),
        (
            "select sum(id * 4611686018427387904) from orders",
            "ODPS-0123091",
        ),
    ] {
        let error = fixture.run(sql).unwrap_err();
        assert!(error.contains(expected), "{sql}: {error}");
    }
    for deep in [
        "(".repeat(5_000),
        format!("1{}", " + 1".repeat(5_000)),
        "not ".repeat(5_000),
        "-".repeat(3) + &"- ".repeat(5_000),
    ] {
        let error = fixture.run(&format!("select {deep}")).unwrap_err();
        assert!(error.starts_with("ODPS-0130161"), "{error}");
    }
}

#[test]
fn tables_and_partitions_come_and_go() {
    let fixture = Fixture::new();
    fixture.text("create table if not exists p.default.logs (line string not null comment 'a \\'line\\'', n decimal) comment 'x' partitioned by (ds string comment 'day') tblproperties ('a'='b') lifecycle 36500");
    fixture.text("create table if not exists logs (other bigint)");
    let table = fixture.catalog.table("LOGS").unwrap().unwrap();
    assert_eq!(table.columns.columns[0].comment, "a 'line'");
    assert!(!table.columns.columns[0].nullable);
    assert_eq!(
        table.columns.columns[1].column_type.to_string(),
        "DECIMAL(38,18)"
    );
    assert_eq!(
        (table.lifecycle, table.comment.as_str()),
        (Some(36_500), "x")
    );
    fixture.text("ALTER TABLE p.`logs` ADD IF NOT EXISTS  PARTITION (ds='20260302') PARTITION (ds='20260303');");
    fixture.text("alter table logs add if not exists\npartition (ds=20260304)\n;");
    assert_eq!(
        fixture.text("show partitions logs"),
        "ds=20260302\nds=20260303\nds=20260304\n"
    );
    fixture.text(
        "ALTER TABLE `p`.`logs` DROP IF EXISTS PARTITION(ds='20260303'), PARTITION (ds='x');",
    );
    assert_eq!(
        fixture.text("SHOW PARTITIONS logs"),
        "ds=20260302\nds=20260304\n"
    );
    fixture.insert("logs", &["20260302"], &[r#"{"line":"a"}"#]);
    fixture.text("truncate table logs partition (ds='20260304')");
    assert_eq!(fixture.rows("select count(*) from logs"), "1");
    assert!(
        fixture
            .text("desc logs partition (ds='20260302')")
            .contains("Records: 1")
    );
    fixture.text("truncate table logs;");
    assert_eq!(fixture.rows("select count(*) from logs"), "0");
    assert!(
        fixture
            .text("desc logs")
            .contains("| line                     | string")
    );
    assert!(fixture.text("show tables like 'lo*'").contains("logs"));
    assert_eq!(fixture.text("show tables like 'x*'"), "");
    fixture.text("drop table if exists logs");
    fixture.text("drop table if exists logs");
    assert!(fixture.catalog.table("logs").unwrap().is_none());
}

#[test]
fn long_lists_of_conditions_are_fine() {
    let fixture = orders();
    let many = format!(
        "select count(*) from orders where id = 0{}",
        " or id = 1".repeat(3_000)
    );
    assert_eq!(fixture.rows(&many), "1");
    let listed = format!(
        "select count(*) from orders where id in (0{})",
        ", 1".repeat(3_000)
    );
    assert_eq!(fixture.rows(&listed), "1");
}

/// Only the files of matching partitions, and of those only what is needed, are opened.
#[test]
fn partitions_that_cannot_match_are_not_read() {
    let fixture = orders();
    let broken: &Path = fixture.folder.path();
    std::fs::write(broken.join("files/orders-2-4.parquet"), b"no parquet").unwrap();
    for (sql, expected) in [
        ("select max(id) from orders where pt = 01", "3"),
        ("select max(id) from orders where pt = '01'", "3"),
        ("select max(id) from orders where hh = 3", "3"),
        ("select max(id) from orders where pt in ('01', '7')", "3"),
        ("select max(id) from orders where pt < 2 and hh > 1", "3"),
        ("select max(id) from orders where pt = 01 or pt = 1.0", "3"),
        // The catalog knows how many rows a file has.
        ("select count(*) from orders", "4"),
        ("select count(distinct pt), max(hh) from orders", "2|4"),
    ] {
        assert_eq!(fixture.rows(sql), expected, "{sql}");
    }
    let error = fixture
        .run("select max(id) from orders where pt = 2")
        .unwrap_err();
    assert!(error.contains("a stored file can't be read"), "{error}");
}

/// Names of the stored files.
fn files(fixture: &Fixture) -> usize {
    let files = std::fs::read_dir(fixture.folder.path().join("files"));
    files.unwrap().count()
}

#[test]
fn inserts_append_or_replace() {
    let fixture = orders();
    let partition = "partition (pt='9', hh=1)";
    let count = || fixture.rows("select count(*), sum(id) from orders where pt='9'");
    fixture.text(&format!(
        "INSERT OVERWRITE TABLE p.`orders` {partition} SELECT id, city, amount, score, paid, ok, tags, raw \
         FROM orders WHERE pt = '01';"
    ));
    assert_eq!(count(), "3|6");
    assert_eq!(
        fixture.rows("select id, city, amount, score, paid, ok, tags, hh from orders where pt='9' order by id limit 2"),
        "1|Berlin|9.90|0.5|2026-03-02 03:04:05|true|[\"a\",\"b\"]|1 2|Paris|10.00|NaN|2026-03-03 00:00:00|false|[]|1"
    );
    fixture.text(&format!(
        "insert into orders {partition} (id, amount) values (7, 1.005BD), (-8, null)"
    ));
    assert_eq!(count(), "5|5");
    assert_eq!(
        fixture.rows("select id, city, amount from orders where id < 0 or id = 7 order by id"),
        "-8|\\N|\\N 7|\\N|1.01"
    );
    // A table may be read and replaced by the same statement.
    fixture.text(&format!(
        "insert overwrite table orders {partition} (id) select id + 1 from orders where pt = 9"
    ));
    assert_eq!(count(), "5|10");
    let before = files(&fixture);
    fixture.text(&format!(
        "insert overwrite orders {partition} (id) select id from orders where false"
    ));
    assert_eq!(
        files(&fixture),
        before - 1,
        "the rows that were replaced are gone"
    );
    assert_eq!(count(), "0|\\N");
    assert_eq!(fixture.rows("select count(*) from orders"), "4");
}

#[test]
fn inserts_find_their_partitions_in_the_rows() {
    let fixture = orders();
    fixture.text(
        "insert overwrite table orders partition (pt='7', hh) (id, city) \
         select id, city, id % 2 from orders where id < 10 order by id desc",
    );
    assert_eq!(
        fixture.rows("select hh, count(*), sum(id) from orders where pt=7 group by hh order by hh"),
        "0|1|2 1|2|4"
    );
    fixture.text("create table day (a int not null default 5, b double) partitioned by (ds string, k string)");
    fixture.text(
        "insert into day partition (ds, k) select 1, 2, '20221122', city from orders where pt='01'",
    );
    assert_eq!(
        fixture.rows("select ds, k, count(*) from day where ds=20221122 group by ds, k order by k"),
        "20221122|Berlin|2 20221122|Paris|1"
    );
    // Only partitions that get rows are replaced.
    fixture.text("insert overwrite day partition (ds='20221122', k) (b) values (7, 'Paris')");
    assert_eq!(
        fixture.rows("select k, a, b from day order by k"),
        "Berlin|1|2.0 Berlin|1|2.0 Paris|5|7.0"
    );
}

#[test]
fn a_failed_insert_changes_nothing() {
    let fixture = orders();
    fixture.text("create table day (a tinyint not null) partitioned by (ds string)");
    fixture.text("insert into day partition (ds='a') values (1), (2)");
    for (sql, text) in [
        (
            "insert overwrite day partition (ds='a') select null",
            "non-null",
        ),
        (
            "insert overwrite day partition (ds='a') values (1), (300)",
            "cannot be casted from BIGINT to TINYINT",
        ),
        (
            "insert overwrite day partition (ds) select 1, 'x' union all select 1, null",
            "NULL for partition key ds",
        ),
    ] {
        let before = files(&fixture);
        let error = fixture.run(sql).unwrap_err();
        assert!(error.contains(text), "{sql}: {error}");
        assert_eq!(files(&fixture), before, "{sql}");
        assert_eq!(fixture.rows("select ds, a from day order by a"), "a|1 a|2");
    }
}
