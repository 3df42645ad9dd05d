"""Values of every MaxCompute type, from `values.json`, as PyODPS takes and gives them.

The file writes a scalar as text, NULL as null, an array as a list, a map as a list of pairs and a struct as the list of
its fields. Instants count from the epoch: milliseconds in a DATETIME, nanoseconds in a TIMESTAMP.
"""

import datetime
import decimal
import json
import pathlib
import struct

import pandas
import pyarrow as pa
from odps import types
from odps.models import TableSchema
from odps.tunnel.io.types import odps_type_to_arrow_type

EPOCH = datetime.datetime(1970, 1, 1)
INTEGERS = ("tinyint", "smallint", "int", "bigint")
FLOATS = {"float": ">f", "double": ">d"}
# In Arrow form PyODPS knows no JSON, and takes a scale of 0 for the default of 18.
NOT_IN_ARROW = ("c_json", "c_whole")


class Column:
    """A column of the file: its name, PyODPS's type, and the expected texts of all rows."""

    def __init__(self, name, type_text, texts):
        self.name = name
        self.type_text = type_text
        self.kind = types.validate_data_type(type_text)
        self.texts = texts

    @property
    def shown(self):
        """What `show` must give for each row."""
        return [show(self.kind, python_value(self.kind, text)) for text in self.texts]


def columns(arrow):
    """The file's columns, for Arrow form without those that PyODPS can't send in it."""
    path = pathlib.Path(__file__).parent.parent / "values.json"
    entries = json.loads(path.read_text("utf-8"))["columns"]
    rows = max(len(entry["values"]) for entry in entries)
    found = []
    for entry in entries:
        texts = entry["values"] + [None] * (rows - len(entry["values"]))
        if not (arrow and entry["name"] in NOT_IN_ARROW):
            found.append(Column(entry["name"], entry["type"], texts))
    return found


def schema(columns, partition_key=None):
    """A table's schema with these columns."""
    keys = [types.Partition(name=partition_key, type="string")] if partition_key else None
    plain = [types.Column(name=column.name, type=column.type_text) for column in columns]
    return TableSchema(columns=plain, partitions=keys)


def records(columns):
    """The rows, a list of values each."""
    by_column = [[python_value(column.kind, text) for text in column.texts] for column in columns]
    return [list(row) for row in zip(*by_column)]


def batch(columns):
    """The rows as a RecordBatch."""
    arrays = []
    for column in columns:
        arrow = odps_type_to_arrow_type(column.kind)
        arrays.append(pa.array([arrow_value(column.kind, text) for text in column.texts], type=arrow))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def python_value(kind, text):
    """The value that PyODPS takes in a record."""
    if text is None:
        return None
    name = name_of(kind)
    if name in INTEGERS:
        return int(text)
    if name == "float":
        return struct.unpack(">f", struct.pack(">f", float(text)))[0]
    if name == "double":
        return float(text)
    if name == "boolean":
        return {"true": True, "false": False}[text]
    if name == "binary":
        return bytes.fromhex(text)
    if name == "decimal":
        return decimal.Decimal(text)
    if name == "date":
        return datetime.date.fromisoformat(text)
    if name == "datetime":
        return EPOCH + datetime.timedelta(milliseconds=int(text))
    if name in ("timestamp", "timestamp_ntz"):
        return pandas.Timestamp(int(text))
    if name == "json":
        return json.loads(text)
    if name == "array":
        return [python_value(kind.value_type, element) for element in text]
    if name == "map":
        return {python_value(kind.key_type, key): python_value(kind.value_type, value) for key, value in text}
    if name == "struct":
        return tuple(python_value(field, value) for field, value in zip(kind.field_types.values(), text))
    return text


def arrow_value(kind, text):
    """The value that pyarrow takes for an array of the column's Arrow type."""
    if text is None:
        return None
    name = name_of(kind)
    if name in ("datetime", "timestamp", "timestamp_ntz"):
        return int(text)
    if name == "array":
        return [arrow_value(kind.value_type, element) for element in text]
    if name == "map":
        return [(arrow_value(kind.key_type, key), arrow_value(kind.value_type, value)) for key, value in text]
    if name == "struct":
        fields = kind.field_types.items()
        return {name: arrow_value(field, value) for (name, field), value in zip(fields, text)}
    return python_value(kind, text)


def arrow_values(kind, array):
    """The values of an Arrow array as `show` takes them; instants stay exact."""
    name = name_of(kind)
    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in arrow_values(kind, chunk)]
    if name in ("datetime", "timestamp", "timestamp_ntz"):
        if pa.types.is_struct(array.type):
            parts = array.to_pylist()
            return [None if part is None else part["sec"] * 10**9 + part["nano"] for part in parts]
        return array.cast(pa.int64()).to_pylist()
    if name == "array":
        inner = arrow_values(kind.value_type, array.values)
        return [None if start is None else inner[start:end] for start, end in bounds(array)]
    if name == "map":
        keys, values = arrow_values(kind.key_type, array.keys), arrow_values(kind.value_type, array.items)
        return [None if start is None else dict(zip(keys[start:end], values[start:end])) for start, end in bounds(array)]
    if name == "struct":
        fields = [arrow_values(field, array.field(at)) for at, field in enumerate(kind.field_types.values())]
        return [row if valid else None for row, valid in zip(zip(*fields), array.is_valid().to_pylist())]
    return array.to_pylist()


def bounds(array):
    """Where the elements of each row begin and end; nothing for NULL."""
    offsets = array.offsets.to_pylist()
    pairs = zip(offsets, offsets[1:], array.is_valid().to_pylist())
    return [(start, end) if valid else (None, None) for start, end, valid in pairs]


def show(kind, value):
    """A text, or lists of texts, that are equal where the values are equal in every bit that counts."""
    if value is None:
        return None
    name = name_of(kind)
    if name in FLOATS:
        return "NaN" if value != value else struct.pack(FLOATS[name], value).hex()
    if name == "decimal":
        return format(value.quantize(decimal.Decimal(1).scaleb(-kind.scale), context=decimal.Context(prec=60)), "f")
    if name == "datetime" and not isinstance(value, int):
        return str((value - EPOCH) // datetime.timedelta(milliseconds=1))
    if name in ("timestamp", "timestamp_ntz") and not isinstance(value, int):
        return str(value.as_unit("ns").value)
    if name == "binary":
        return bytes(value).hex()
    if name == "boolean":
        return str(value).lower()
    if name == "json":
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    if name == "array":
        return [show(kind.value_type, element) for element in value]
    if name == "map":
        return [[show(kind.key_type, key), show(kind.value_type, element)] for key, element in sorted(value.items())]
    if name == "struct":
        values = value.values() if isinstance(value, dict) else value
        return [show(field, element) for field, element in zip(kind.field_types.values(), values)]
    return value.decode() if isinstance(value, bytes) else str(value)


def name_of(kind):
    """The type's name without its parameters."""
    return kind.name.partition("(")[0].partition("<")[0].lower()


def compare(columns, found, what):
    """Compares columns of values, by name, with the file."""
    for column in columns:
        shown = [show(column.kind, value) for value in found[column.name]]
        assert shown == column.shown, f"{what}, column {column.name}: found {shown}, expected {column.shown}"


def compare_records(columns, records, what):
    """Compares records with the file."""
    compare(columns, {column.name: [record[column.name] for record in records] for column in columns}, what)


def compare_arrow(columns, table, what):
    """Compares an Arrow table with the file."""
    assert table.column_names[: len(columns)] == [column.name for column in columns], table.column_names
    compare(columns, {column.name: arrow_values(column.kind, table.column(column.name)) for column in columns}, what)
