"""Exact tests of the judges: the JSON scanner, the conversions, and both halves' checksums against each other."""

import datetime
import decimal
import json
import random

import pandas
import pyarrow as pa
import pytest
from odps.config import option_context
from odps.models import Record, TableSchema

from canonical import Checksums, ColumnType, Unfit
from json_slices import Malformed, Projection, parse_path
from mapping import Mapping, Message
from table_truth import add_batch, add_records


def scan(text, *paths):
    """What each path finds, as (kind, text) pairs."""
    return [found and (found.kind, found.text) for found in Projection(paths).scan(text)]


def value(text, kind, **more):
    """Canonical value of the member `v` of a JSON text in a column of type `kind`."""
    mapping = Mapping([{"column": "c", "type": kind, "path": "v", **more}], "Asia/Shanghai")
    return mapping.row(Message(0, 0, 0, None, text.encode("utf-8", "surrogatepass"), []))[0]


def test_paths():
    assert parse_path("a.b1[0].C") == ["a", "b1", 0, "C"]
    assert parse_path("[12][0]") == [12, 0]
    assert parse_path("['a.b'].c['d\\'e']") == ["a.b", "c", "d'e"]
    for wrong in ["", ".a", "a..b", "a.", "a[", "a[x]", "a[-1]"]:
        with pytest.raises(ValueError):
            parse_path(wrong)


def test_slices_are_exact():
    text = ' {"a": {"b" : [1.50, {"c":null}] } , "x\\u0041":"\\n" , "n":-0.0e+5, "t":true } '
    assert scan(text, "a.b", "a.b[0]", "a.b[1].c", "xA", "n", "t", "a") == [
        ("array", '[1.50, {"c":null}]'),
        ("number", "1.50"),
        ("null", "null"),
        ("string", '"\\n"'),
        ("number", "-0.0e+5"),
        ("boolean", "true"),
        ("object", '{"b" : [1.50, {"c":null}] }'),
    ]


def test_paths_that_lead_nowhere():
    text = '{"a":{"b":1},"c":[1,2]}'
    assert scan(text, "b", "a.b.c", "c[2]", "c.a", "a[0]", "c[0].x") == [None] * 6
    assert scan("[[7]]", "[0][0]", "a") == [("number", "7"), None]
    assert scan('"text"', "a") == [None]


def test_last_duplicate_wins_with_all_below():
    text = '{"a":{"b":1,"c":2},"a":{"c":3,"c":4}}'
    assert scan(text, "a.b", "a.c", "a") == [None, ("number", "4"), ("object", '{"c":3,"c":4}')]
    assert scan('{"a":{"b":1},"a":5}', "a.b", "a") == [None, ("number", "5")]


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "[", '{"a":1', '{"a":1,}', "[1,]", "[,1]", '{"a"}', "{a:1}", "{'a':1}", "01", "-", "1.", ".5", "+1", "1e",
     "NaN", "Infinity", "tru", "nul", '"', '"\n"', '"\\x"', '"\\u12"', "1 2", "{} {}", "[1}", '{"a":1]', "\ufeff{}", "\u00a01",
     '{"a" 1}', '{"a":}', "[1 2]", "//", "{,}", '{"a":1,,"b":2}', "1\x00"],
)  # fmt: skip
def test_malformed(text):
    with pytest.raises(Malformed):
        scan(text, "a")


def test_scanner_agrees_with_the_standard_library():
    """Mutated texts: what json accepts is what the scanner accepts, and its slices mean the same values."""

    def refuse(name):
        raise ValueError(name)

    draw = random.Random(20261123)
    seed = '{"a":{"b":[1,-2.5e3,{"c":"x\\u00e9\\"y"}],"d":null},"e":[[],{}],"f":true,"a2":"中"}'
    accepted = 0
    for _ in range(20_000):
        text = list(seed)
        for _ in range(draw.randint(0, 3)):
            at = draw.randrange(len(text))
            match draw.randrange(3):
                case 0:
                    del text[at]
                case 1:
                    text.insert(at, draw.choice('{}[],:"\\0123456789.eE+-tfn ax\t\x01'))
                case _:
                    text[at] = draw.choice('{}[],:"\\09.eE+-ul ')
        text = "".join(text)
        try:
            expected = json.loads(text, parse_constant=refuse)
        except ValueError:
            with pytest.raises(Malformed):
                scan(text, "a.b[2].c", "e")
            continue
        accepted += 1
        for key in ("a", "e", "f", "a2"):
            found = Projection([f"['{key}']"]).scan(text)[0]
            if isinstance(expected, dict) and key in expected:
                assert json.loads(found.text) == expected[key], text
            else:
                assert found is None, text
    assert accepted > 2_000


def test_deep_nesting():
    depth = 400
    assert scan("[" * depth + "]" * depth, "[0]") == [("array", "[" * (depth - 1) + "]" * (depth - 1))]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ('{"v":12345678901234567890}', "STRING", b"12345678901234567890"),
        ('{"v":1.50}', "STRING", b"1.50"),
        ('{"v":1E+5}', "STRING", b"1E+5"),
        ('{"v":{ "a" : [1 ,2] }}', "STRING", b'{ "a" : [1 ,2] }'),
        ('{"v":"\\u4e2d\\ud83d\\ude00\\n\\/"}', "STRING", "中😀\n/".encode()),
        ('{"v":""}', "STRING", b""),
        ('{"v":false}', "STRING", b"false"),
        ('{"v":null}', "STRING", None),
        ('{"w":1}', "STRING", None),
        ('{"v":-9223372036854775808}', "BIGINT", b"-9223372036854775808"),
        ('{"v":-0}', "BIGINT", b"0"),
        ('{"v":1.0}', "BIGINT", b"1"),
        ('{"v":12e2}', "INT", b"1200"),
        ('{"v":"127"}', "TINYINT", b"127"),
        ('{"v":true}', "BIGINT", b"1"),
        ('{"v":0.1}', "DOUBLE", b"0.1"),
        ('{"v":1e22}', "DOUBLE", b"1e+22"),
        ('{"v":7}', "DOUBLE", b"7.0"),
        ('{"v":-0.0}', "DOUBLE", b"-0.0"),
        ('{"v":"NaN"}', "DOUBLE", b"nan"),
        ('{"v":0.1}', "FLOAT", b"0.10000000149011612"),
        ('{"v":12345678901234567890.123456789012345678}', "DECIMAL(38,18)", b"12345678901234567890.123456789012345678"),
        ('{"v":1}', "DECIMAL(10,2)", b"1.00"),
        ('{"v":-0.00}', "DECIMAL(10,2)", b"0.00"),
        ('{"v":1.50e1}', "DECIMAL(10,2)", b"15.00"),
        ('{"v":"99999999.99"}', "DECIMAL(10,2)", b"99999999.99"),
        ('{"v":5}', "DECIMAL(38)", b"5"),
        ('{"v":"True"}', "BOOLEAN", b"true"),
        ('{"v":0}', "BOOLEAN", b"false"),
        ('{"v":-10}', "BOOLEAN", b"true"),
        ('{"v":"abc"}', "BINARY", b"616263"),
        ('{"v":"2026-02-28"}', "DATE", b"2026-02-28"),
        ('{"v":1790000000123}', "DATETIME", b"1790000000123"),
        ('{"v":-1}', "TIMESTAMP", b"-1000000"),
        ('{"v":"1970-01-01T00:00:00.000000001Z"}', "TIMESTAMP", b"1"),
        ('{"v":"1969-12-31T23:59:59.999Z"}', "DATETIME", b"-1"),
        ('{"v":"2026-11-23T08:00:00+08:00"}', "DATETIME", b"1795392000000"),
        ('{"v":"2026-11-23 08:00:00"}', "DATETIME", b"1795392000000"),
    ],
)
def test_values(text, kind, expected):
    assert value(text, kind) == expected


def test_units_of_instants():
    assert value('{"v":7}', "TIMESTAMP", format="epoch_s") == b"7000000000"
    assert value('{"v":7}', "TIMESTAMP", format="epoch_us") == b"7000"
    assert value('{"v":"7"}', "TIMESTAMP", format="epoch_ns") == b"7"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"v":9223372036854775808}', "BIGINT"),
        ('{"v":1.9}', "BIGINT"),
        ('{"v":"1.9"}', "BIGINT"),
        ('{"v":"abc"}', "BIGINT"),
        ('{"v":" 1"}', "BIGINT"),
        ('{"v":{}}', "BIGINT"),
        ('{"v":1e999999999999999999999}', "BIGINT"),
        ('{"v":128}', "TINYINT"),
        ('{"v":1e400}', "DOUBLE"),
        ('{"v":true}', "DOUBLE"),
        ('{"v":0.001}', "DECIMAL(10,2)"),
        ('{"v":100000000}', "DECIMAL(10,2)"),
        ('{"v":1e999999999999999999999}', "DECIMAL(10,2)"),
        ('{"v":"yes"}', "BOOLEAN"),
        ('{"v":0.5}', "BOOLEAN"),
        ('{"v":"2026-02-30"}', "DATE"),
        ('{"v":"\\ud800"}', "STRING"),
        ('{"v":"1970-01-01T00:00:00.0001Z"}', "DATETIME"),
        ('{"v":[1]}', "DATETIME"),
    ],
)
def test_values_that_do_not_fit(text, kind):
    with pytest.raises(Unfit):
        value(text, kind)


def test_metadata_constants_and_tombstones():
    columns = [
        {"column": "k", "type": "STRING", "metadata": "key"},
        {"column": "raw", "type": "STRING", "metadata": "value"},
        {"column": "p", "type": "BIGINT", "metadata": "partition"},
        {"column": "o", "type": "STRING", "metadata": "offset"},
        {"column": "t", "type": "DATETIME", "metadata": "timestamp"},
        {"column": "ts", "type": "BIGINT", "metadata": "timestamp"},
        {"column": "h", "type": "STRING", "metadata": "headers"},
        {"column": "c", "type": "BIGINT", "constant": "12"},
        {"column": "v", "type": "BIGINT", "path": "v"},
    ]
    mapping = Mapping(columns)
    headers = [("a", b"\xe4\xb8\xad"), ("a", None), ("b", b"\xff")]
    row = mapping.row(Message(3, 12, 1790000000123, b"k", b'{"v":1}', headers))
    assert row == [b"k", b'{"v":1}', b"3", b"12", b"1790000000123", b"1790000000123",
                   '[{"key":"a","value":"中"},{"key":"a","value":null},{"key":"b","base64":"/w=="}]'.encode(), b"12", b"1"]  # fmt: skip
    assert mapping.row(Message(3, 12, 5, None, None, None)) == [None, None, b"3", b"12", b"5", b"5", b"[]", b"12", None]
    with pytest.raises(Malformed):
        mapping.row(Message(3, 12, 5, None, b'{"v":"\xff"}', []))
    with pytest.raises(Malformed):
        mapping.row(Message(3, 12, 5, None, b"", []))


@pytest.mark.parametrize(
    "column", [{"path": "a", "constant": "b"}, {}, {"metadata": "topic"}, {"path": "a..b"}, {"path": "a", "type": "BLOB"}]
)
def test_wrong_mappings(column):
    with pytest.raises(ValueError):
        Mapping([{"column": "c", "type": "STRING", **column}])


def sums(names, rows):
    """The report over some rows."""
    checksums = Checksums(names)
    for row in rows:
        checksums.add(row)
    return checksums.report()


def test_checksums_ignore_order_only():
    rows = [[b"1", b"a"], [b"2", None], [b"2", None]]
    base = sums(["x", "y"], rows)
    assert sums(["X", "Y"], rows[::-1]) == base
    assert sums(["y", "x"], [row[::-1] for row in rows])["columns"] == base["columns"]
    assert base["rows"] == 3 and base["columns"]["y"]["nulls"] == 2
    for other in ([[b"1", b"a"], [b"2", None]], [[b"1", b"a"], [b"2", b""], [b"2", None]], [[b"1", b"b"], *rows[1:]]):
        assert sums(["x", "y"], other)["row_checksum"] != base["row_checksum"]
    # Values swapped between rows leave the columns' sums alone; only the whole rows tell.
    swapped = sums(["x", "y"], [[b"2", b"a"], [b"1", None], [b"2", None]])
    assert swapped["columns"] == base["columns"] and swapped["row_checksum"] != base["row_checksum"]
    merged = Checksums(["x", "y"])
    for row in rows:
        part = Checksums(["x", "y"])
        part.add(row)
        merged.merge(part)
    assert merged.report() == base


def test_checksums_stay_what_they_are():
    report = sums(["a"], [[b"1"], [None]])
    assert report == {
        "rows": 2,
        "row_checksum": "6a2454fb983d0b13",
        "columns": {"a": {"checksum": "6f200d83db721a1a", "nulls": 1}},
    }


TABLE = [
    ("i", "BIGINT", pa.int64(), [1, None, -(2**63)]),
    ("d", "DOUBLE", pa.float64(), [0.1, -0.0, None]),
    ("m", "DECIMAL(38,18)", pa.decimal128(38, 18), [decimal.Decimal("1.5"), None, decimal.Decimal("-1e-18")]),
    ("b", "BOOLEAN", pa.bool_(), [True, False, None]),
    ("s", "STRING", pa.string(), ["中", "", None]),
    ("n", "BINARY", pa.binary(), [b"\x00\xff", None, b""]),
    ("y", "DATE", pa.date32(), [datetime.date(2026, 2, 28), None, datetime.date(1969, 12, 31)]),
    ("t", "DATETIME", pa.timestamp("ms"), [1790000000123, -1, None]),
    ("u", "TIMESTAMP", pa.timestamp("ns"), [1790000000123456789, -1, None]),
]
TABLE_ROWS = [
    [b"1", b"0.1", b"1.500000000000000000", b"true", "中".encode(), b"00ff", b"2026-02-28", b"1790000000123",
     b"1790000000123456789"],
    [None, b"-0.0", None, b"false", b"", None, None, b"-1", b"-1"],
    [b"-9223372036854775808", None, b"-0.000000000000000001", None, None, b"", b"1969-12-31", None, None],
]  # fmt: skip


def test_arrow_half_agrees():
    names = [name for name, *_ in TABLE]
    kinds = [ColumnType(text) for _, text, *_ in TABLE]
    arrays = [pa.array(values, arrow) for _, _, arrow, values in TABLE]
    checksums = Checksums(names)
    add_batch(checksums, pa.RecordBatch.from_arrays(arrays, names), names, kinds)
    assert checksums.report() == sums(names, TABLE_ROWS)


def test_record_half_agrees():
    columns = [column for column in TABLE if column[0] != "u"]
    names = [name for name, *_ in columns]
    kinds = [ColumnType(text) for _, text, *_ in columns]
    schema = TableSchema.from_lists(names, [text.lower() for _, text, *_ in columns])
    epoch = datetime.datetime(1970, 1, 1)
    records = []
    for number in range(3):
        row = [values[number] for *_, values in columns]
        if row[-1] is not None:
            row[-1] = epoch + datetime.timedelta(milliseconds=row[-1])
        with option_context() as options:
            options.tunnel.string_as_binary = True
            records.append(Record(schema=schema, values=row))
    checksums = Checksums(names)
    add_records(checksums, records, names, kinds)
    assert checksums.report() == sums(names, [row[:-1] for row in TABLE_ROWS])
    # A TIMESTAMP field arrives as a pandas Timestamp, the one type here that has nanoseconds.
    single = Checksums(["u"])
    add_records(single, [{"u": pandas.Timestamp(1790000000123456789)}], ["u"], [ColumnType("TIMESTAMP")])
    assert single.report() == sums(["u"], [[b"1790000000123456789"]])
