"""Unmodified PyODPS against a MaxCompute-compatible server.

    python pyodps_smoke.py ENDPOINT PROJECT ACCESS_ID SECRET

Ends with "all passed" and exit code 0, or with the first assertion that failed. The server must verify signatures with
the given credentials. Tables it makes begin with "smoke_".
"""

import datetime
import decimal
import importlib.util
import sys

import pyarrow as pa

import odps
from odps import ODPS, options, errors
from odps.models import TableSchema as Schema
from odps.tunnel import TableTunnel, CompressOption

options.local_timezone = False  # instants are UTC
options.sql.use_odps2_extension = True
options.verbose = False

ALL_TYPES = [
    ("c_tinyint", "tinyint", pa.int8()),
    ("c_smallint", "smallint", pa.int16()),
    ("c_int", "int", pa.int32()),
    ("c_bigint", "bigint", pa.int64()),
    ("c_float", "float", pa.float32()),
    ("c_double", "double", pa.float64()),
    ("c_string", "string", pa.string()),
    ("c_varchar", "varchar(20)", pa.string()),
    ("c_char", "char(4)", pa.string()),
    ("c_binary", "binary", pa.binary()),
    ("c_boolean", "boolean", pa.bool_()),
    ("c_decimal", "decimal(38,18)", pa.decimal128(38, 18)),
    ("c_money", "decimal(10,2)", pa.decimal128(10, 2)),
    ("c_date", "date", pa.date32()),
    ("c_datetime", "datetime", pa.timestamp("ms")),
    ("c_timestamp", "timestamp", pa.timestamp("ns")),
    ("c_ntz", "timestamp_ntz", pa.timestamp("ns")),
    ("c_array", "array<bigint>", pa.list_(pa.int64())),
    ("c_map", "map<string,bigint>", pa.map_(pa.string(), pa.int64())),
    ("c_struct", "struct<a:bigint,b:string>", pa.struct([("a", pa.int64()), ("b", pa.string())])),
]


def all_types_batch():
    instant = datetime.datetime(2026, 3, 2, 3, 4, 5, 678000)
    row = {
        "c_tinyint": -128,
        "c_smallint": -32768,
        "c_int": -(2**31),
        "c_bigint": 2**63 - 1,
        "c_float": 1.5,
        "c_double": -0.1,
        "c_string": "日本語\n\"quoted\"",
        "c_varchar": "vc",
        "c_char": "ch",
        "c_binary": bytes(range(256)),
        "c_boolean": True,
        "c_decimal": decimal.Decimal("-99999999999999999999.999999999999999999"),
        "c_money": decimal.Decimal("12.30"),
        "c_date": datetime.date(2026, 3, 2),
        "c_datetime": instant,
        "c_timestamp": instant,
        "c_ntz": instant,
        "c_array": [1, None, 3],
        "c_map": [("k", 2), ("n", None)],
        "c_struct": {"a": 1, "b": None},
    }
    columns = [pa.array([row[name], None], type=kind) for name, _, kind in ALL_TYPES]
    return pa.RecordBatch.from_arrays(columns, names=[name for name, _, _ in ALL_TYPES]), row


def fresh(o, name, columns, partition=None, **kw):
    o.delete_table(name, if_exists=True)
    return o.create_table(name, (columns, partition) if partition else columns, **kw)


def upload(tunnel, table, batch, partition=None, block_ids=(0,), algorithm=None, **kw):
    option = CompressOption(algorithm) if algorithm else None
    session = tunnel.create_upload_session(table, partition_spec=partition, compress_option=option, **kw)
    for block_id in block_ids:
        with session.open_arrow_writer(block_id, compress=option is not None) as writer:
            writer.write(batch)
    session.commit(list(block_ids))
    return session


def codecs():
    """The compressions whose Python packages are installed."""
    algorithms = CompressOption.CompressAlgorithm
    yield algorithms.ODPS_ZLIB
    for package, algorithm in (("zstandard", "ODPS_ZSTD"), ("lz4", "ODPS_LZ4"), ("snappy", "ODPS_SNAPPY")):
        if importlib.util.find_spec(package):
            yield algorithms[algorithm]


def check_plain_table(o, tunnel):
    table = fresh(o, "smoke_plain", "id bigint, name string comment 'who', price decimal(10,2)", lifecycle=7, comment="a table")
    table.reload()
    assert [c.name for c in table.table_schema.simple_columns] == ["id", "name", "price"]
    assert table.lifecycle == 7 and table.comment == "a table", (table.lifecycle, table.comment)
    assert o.exist_table("smoke_plain") and not o.exist_table("smoke_absent")
    assert "smoke_plain" in [t.name for t in o.list_tables(prefix="smoke_")]

    batch = pa.RecordBatch.from_arrays(
        [pa.array(range(5), pa.int64()), pa.array(["a", "b", None, "d", "e"]), pa.array([decimal.Decimal("9.50")] * 4 + [decimal.Decimal("10.00")], pa.decimal128(10, 2))],
        names=["id", "name", "price"],
    )
    upload(tunnel, "smoke_plain", batch)
    upload(tunnel, "smoke_plain", batch, block_ids=(0, 7))
    with table.open_reader() as reader:
        assert reader.count == 15, reader.count
        rows = [(r["id"], r["name"], r["price"]) for r in reader]
    assert rows[:5] == [(0, "a", decimal.Decimal("9.50")), (1, "b", decimal.Decimal("9.50")), (2, None, decimal.Decimal("9.50")),
                        (3, "d", decimal.Decimal("9.50")), (4, "e", decimal.Decimal("10.00"))], rows[:5]
    upload(tunnel, "smoke_plain", batch, overwrite=True)
    with table.open_reader() as reader:
        assert reader.count == 5
        assert [r["id"] for r in reader[1:3]] == [1, 2]
    with table.open_reader(columns=["price", "id"]) as reader:
        assert [r.values for r in reader][4] == [decimal.Decimal("10.00"), 4] or [r.values for r in reader][4] == [4, decimal.Decimal("10.00")]
    with table.open_reader(arrow=True) as reader:
        assert reader.read_all().num_rows == 5
    session = tunnel.create_download_session("smoke_plain")
    with session.open_arrow_reader(1, 3, columns=["price", "id"]) as reader:
        arrow = pa.concat_tables(pa.Table.from_batches([b]) for b in reader)
    assert arrow.column("id").to_pylist() == [1, 2, 3], arrow
    for algorithm in codecs():
        upload(tunnel, "smoke_plain", batch, overwrite=True, algorithm=algorithm)
        session = tunnel.create_download_session("smoke_plain", compress_option=CompressOption(algorithm))
        with session.open_record_reader(0, 5, compress=True) as reader:
            assert [r["id"] for r in reader] == [0, 1, 2, 3, 4]
        with session.open_arrow_reader(0, 5, compress=True) as reader:
            assert sum(b.num_rows for b in reader) == 5
    table.truncate()
    with table.open_reader() as reader:
        assert reader.count == 0 and list(reader) == []


def check_high_level_arrow_writer(o):
    table = fresh(o, "smoke_writer", "id bigint, name string", "ds string")
    frame = pa.table({"id": [1, 2, 3], "name": ["x", "y", "z"]}).to_pandas()
    with table.open_writer(partition="ds='20260302'", create_partition=True, arrow=True) as writer:
        writer.write(frame)
    with table.open_writer(partition="ds='20260302'", arrow=True, overwrite=True) as writer:
        writer.write(pa.RecordBatch.from_pandas(frame.head(2)))
    with table.open_reader(partition="ds='20260302'") as reader:
        assert [(r[0], r[1]) for r in reader] == [(1, "x"), (2, "y")]


def check_partitions(o, tunnel):
    table = fresh(o, "smoke_day", "id bigint, name string", "ds string")
    for ds in ("20221121", "20221122", "20221123"):
        table.create_partition(f"ds='{ds}'", if_not_exists=True)
    assert table.exist_partition("ds='20221122'") and not table.exist_partition("ds='19991231'")
    assert [str(p.partition_spec) for p in table.partitions] == [f"ds='{d}'" for d in ("20221121", "20221122", "20221123")]
    for number, ds in enumerate(("20221121", "20221122", "20221123"), 1):
        batch = pa.RecordBatch.from_arrays([pa.array(range(number), pa.int64()), pa.array([ds] * number)], names=["id", "name"])
        upload(tunnel, "smoke_day", batch, partition=f"ds={ds}")
    with o.execute_sql("select count(*) as n from smoke_day where ds=20221122").open_reader() as reader:
        assert [r["n"] for r in reader] == [2]
    with table.open_reader(partition="ds=20221123") as reader:
        assert reader.count == 3
        assert {r["name"] for r in reader} == {"20221123"}
    table.delete_partition("ds='20221121'")
    assert not table.exist_partition("ds='20221121'")
    try:
        tunnel.create_upload_session("smoke_day", partition_spec="ds=20221121")
        raise AssertionError("a session on a missing partition")
    except errors.NoSuchPartition:
        pass
    try:
        tunnel.create_upload_session("smoke_day")
        raise AssertionError("a session without a partition")
    except odps.errors.ODPSError as error:
        assert error.code == "MissingPartitionSpec", error

    table = fresh(o, "smoke_deep", "id bigint", "dt string, hh bigint, kind string")
    batch = pa.RecordBatch.from_arrays([pa.array([42], pa.int64())], names=["id"])
    upload(tunnel, "smoke_deep", batch, partition="dt=20260302,hh=3,kind=a b", create_partition=True)
    upload(tunnel, "smoke_deep", batch, partition="dt=20260302,hh=03,kind=z", create_partition=True)
    assert len(list(table.partitions)) == 2
    assert len(list(table.iterate_partitions("dt='20260302',hh='3'"))) == 2
    with o.execute_sql("select dt, hh, kind, id from smoke_deep where hh = 3 and kind like 'a%'").open_reader() as reader:
        assert [r.values for r in reader] == [["20260302", 3, "a b", 42]]


def check_all_types(o, tunnel):
    columns = [odps.types.Column(name=name, type=kind) for name, kind, _ in ALL_TYPES]
    table = fresh(o, "smoke_types", Schema(columns=columns))
    batch, row = all_types_batch()
    upload(tunnel, "smoke_types", batch)
    with tunnel.create_download_session("smoke_types").open_arrow_reader(0, 2) as reader:
        back = pa.Table.from_batches(list(reader))
    assert back.column_names == batch.schema.names
    for name, _, kind in ALL_TYPES:
        assert back.column(name).to_pylist() == batch.column(name).to_pylist(), (name, back.column(name), batch.column(name))

    def same(record):
        for name, kind, _ in ALL_TYPES:
            found, expected = record[name], row[name]
            if kind.startswith("map"):
                expected = dict(expected)
            if kind.startswith("struct"):
                found, expected = list(found), list(expected.values())
            if name in ("c_timestamp", "c_ntz"):
                found = found.to_pydatetime()
            assert found == expected, (name, found, expected)

    with table.open_reader() as reader:
        first, second = list(reader)
    same(first)
    assert all(value is None for value in second.values), second.values
    with o.execute_sql("select * from smoke_types where c_bigint is not null").open_reader() as reader:
        same(next(iter(reader)))
    with o.execute_sql("select * from smoke_types").open_reader(arrow=True) as reader:
        assert reader.read_all().num_rows == 2


def check_sql(o, tunnel, project):
    table = fresh(o, "smoke_orders", "id bigint, city string, amount decimal(12,2), paid datetime", "pt string")
    batch = pa.RecordBatch.from_arrays(
        [
            pa.array([1, 2, 3], pa.int64()),
            pa.array(["Berlin", "Paris", "Berlin"]),
            pa.array([decimal.Decimal("9.90"), decimal.Decimal("10.00"), None], pa.decimal128(12, 2)),
            pa.array([datetime.datetime(2026, 3, 2, 3, 4, 5)] * 3, pa.timestamp("ms")),
        ],
        names=["id", "city", "amount", "paid"],
    )
    upload(tunnel, "smoke_orders", batch, partition="pt=01", create_partition=True)
    upload(tunnel, "smoke_orders", batch, partition="pt=02", create_partition=True)

    def rows(sql):
        with o.execute_sql(sql).open_reader() as reader:
            return [r.values for r in reader]

    assert rows("select count(*) from smoke_orders where pt=01") == [[3]]
    assert rows(f"select count(*) from {project}.smoke_orders") == [[6]]
    assert rows(f"select count(*) from `{project}`.`smoke_orders` where `pt`='02'") == [[3]]
    assert rows("select city, count(*) n, sum(amount) s from smoke_orders where pt='01' group by city order by n desc, city limit 5") == [
        ["Berlin", 2, decimal.Decimal("9.90")], ["Paris", 1, decimal.Decimal("10.00")]]
    assert rows("select id from smoke_orders where pt='01' and amount > 9.95BD") == [[2]]
    assert rows("select max(amount) from smoke_orders") == [[decimal.Decimal("10.00")]]
    assert rows("select to_char(paid, 'yyyymmdd'), pt from smoke_orders where id = 1 order by pt") == [["20260302", "01"], ["20260302", "02"]]
    assert rows("select id from smoke_orders where pt = max_pt('smoke_orders') and paid >= '2026-03-02 03:04:05' order by id") == [[1], [2], [3]]
    with o.execute_sql("select id, city from smoke_orders where pt='01' order by id limit 2").open_reader(tunnel=False) as reader:
        assert [r.values for r in reader] == [[1, "Berlin"], [2, "Paris"]], "csv"
    with o.execute_sql("show partitions smoke_orders").open_reader() as reader:
        assert reader.raw.strip().splitlines() == ["pt=01", "pt=02"], reader.raw
    with o.execute_sql("desc smoke_orders").open_reader() as reader:
        assert "decimal(12,2)" in reader.raw
    instance = o.execute_sql("select 1")
    assert instance.is_successful() and instance.get_task_names() == ["AnonymousSQLTask"]
    frame = o.execute_sql("select id, city from smoke_orders where pt='01' order by id").open_reader().to_pandas()
    assert list(frame["id"]) == [1, 2, 3]
    for sql, kind, text in [
        ("select * from", errors.ParseError, "ODPS-0130161"),
        ("select nope from smoke_orders", errors.ODPSError, "ODPS-0130071:[1,8] Semantic analysis exception - column nope"),
        ("select frobnicate(id) from smoke_orders", errors.ODPSError, "function frobnicate cannot be resolved"),
        ("select * from smoke_nowhere", errors.NoSuchTable, "ODPS-0130131:[1,15] Table not found"),
    ]:
        try:
            o.execute_sql(sql)
            raise AssertionError(f"{sql} ran")
        except kind as error:
            assert text in str(error), error


def check_errors(o, endpoint, project, access_id):
    wrong = ODPS(access_id, "not the secret", project, endpoint=endpoint)
    try:
        wrong.get_table("smoke_plain").reload()
        raise AssertionError("a wrong secret was accepted")
    except errors.SignatureNotMatch as error:
        assert error.request_id, error
    try:
        ODPS("nobody", "x", project, endpoint=endpoint).get_table("smoke_plain").reload()
        raise AssertionError("an unknown access id was accepted")
    except errors.Unauthorized:
        pass
    for missing in (lambda: o.get_table("smoke_absent").reload(), lambda: TableTunnel(o).create_upload_session("smoke_absent")):
        try:
            missing()
            raise AssertionError("a missing table was found")
        except errors.NoSuchTable:
            pass
    assert not o.exist_project("elsewhere")
    assert o.get_project(project).name == project and o.exist_project(project)


def main():
    endpoint, project, access_id, secret = sys.argv[1:5]
    o = ODPS(access_id, secret, project, endpoint=endpoint)
    tunnel = TableTunnel(o)
    check_plain_table(o, tunnel)
    check_high_level_arrow_writer(o)
    check_partitions(o, tunnel)
    check_all_types(o, tunnel)
    check_sql(o, tunnel, project)
    check_errors(o, endpoint, project, access_id)
    # A region makes REST requests use signature version 4.
    regional = ODPS(access_id, secret, project, endpoint=endpoint, region_name="cn-shanghai")
    assert regional.exist_table("smoke_plain")
    for name in ("plain", "writer", "day", "deep", "types", "orders"):
        o.delete_table(f"smoke_{name}")
    print("all passed")


if __name__ == "__main__":
    main()
