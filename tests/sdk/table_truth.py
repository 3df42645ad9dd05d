"""What a MaxCompute table, or one of its table partitions, holds: the checksums that `truth.py` expects of it.

Reads through one of Alibaba's own clients, PyODPS or (with `--java`) the Java SDK, as Arrow or as records. The access
secret comes from the environment, in the variable that `--secret-from-env` names.

    SECRET=… table_truth.py --endpoint http://127.0.0.1:18090/api --project p --access-id id --secret-from-env SECRET \\
        --table orders --partition ds=20261123
"""

import argparse
import datetime
import decimal
import json
import os
import subprocess

import pyarrow as pa
import pyarrow.compute as pc
from odps import ODPS, options

import canonical
from canonical import Checksums, ColumnType

READ_ROWS = 50_000


def arguments():
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--tunnel-endpoint")
    parser.add_argument("--project", required=True)
    parser.add_argument("--schema")
    parser.add_argument("--access-id", required=True)
    parser.add_argument("--secret-from-env", required=True, metavar="NAME")
    parser.add_argument("--table", required=True)
    parser.add_argument("--partition", help="for example ds=20261123,hh=08; left out for a table without partitions")
    parser.add_argument("--form", choices=["arrow", "record"], default="arrow")
    parser.add_argument("--java", metavar="CLASSPATH", help="where tests/sdk/odps-java and its libraries are; reads with it")
    parser.add_argument("--columns", help="comma-separated; all columns but the partition keys unless given")
    return parser.parse_args()


def arrow_values(array, kind):
    """Canonical values of an Arrow array that holds a column of type `kind`."""
    name = kind.name
    if name in canonical.INSTANT_TYPES:
        unit_ns = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[array.type.unit]
        integers = array.cast(pa.int64()).to_pylist()
        return [None if value is None else canonical.instant(value * unit_ns, kind) for value in integers]
    if name in canonical.TEXT_TYPES:
        # Bytes, not text: what the table holds is judged as it came, valid UTF-8 or not.
        return array.cast(pa.large_binary()).to_pylist()
    if name == "BOOLEAN":
        return pc.if_else(array, b"true", b"false").to_pylist()
    return [None if value is None else python_value(value, kind) for value in array.to_pylist()]


def python_value(value, kind):
    """Canonical value of what PyODPS gives for a field that is not NULL."""
    name = kind.name
    if name in canonical.INTEGER_BITS:
        return canonical.integer(value, kind)
    if name in ("DOUBLE", "FLOAT"):
        return canonical.double(value, kind)
    if name == "DECIMAL":
        return canonical.decimal_text(decimal.Decimal(value), kind)
    if name == "BOOLEAN":
        return b"true" if value else b"false"
    if name == "BINARY":
        return bytes(value).hex().encode()
    if name == "DATE":
        return value.isoformat().encode()
    if name in canonical.INSTANT_TYPES:
        return canonical.instant(instant_nanoseconds(value), kind)
    return value if isinstance(value, bytes) else str(value).encode()


def instant_nanoseconds(value):
    """Nanoseconds since the epoch of a datetime or a pandas Timestamp; without a zone it is taken as UTC."""
    if hasattr(value, "as_unit"):
        return value.as_unit("ns").value
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    return canonical.nanoseconds_of(value)


def add_batch(checksums, batch, names, kinds):
    """Counts all rows of a RecordBatch."""
    columns = [arrow_values(batch.column(batch.schema.get_field_index(name)), kind) for name, kind in zip(names, kinds)]
    for row in zip(*columns):
        checksums.add(row)


def add_records(checksums, records, names, kinds):
    """Counts all rows of a sequence of PyODPS records."""
    for record in records:
        values = (record[name] for name in names)
        checksums.add([None if value is None else python_value(value, kind) for value, kind in zip(values, kinds)])


def chosen(args, columns):
    """Names and types of the columns to read, from all (name, type) of the table; the table's order stays."""
    wanted = args.columns.lower().split(",") if args.columns else None
    fields = [(name, text) for name, text in columns if not wanted or name.lower() in wanted]
    return [name for name, _ in fields], [ColumnType(text) for _, text in fields]


def read_with_java(args):
    """The checksums of what the Java SDK reads."""
    # Without the option the Arrow of that SDK can't reach the memory that it manages.
    command = ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", args.java, "ReadTable"]
    command += [args.endpoint, args.project, args.access_id, args.secret_from_env, args.form, args.table]
    command += [args.partition] if args.partition else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        columns = json.loads(process.stdout.readline() or "[]")
        names, kinds = chosen(args, columns)
        places = [place for place, (name, _) in enumerate(columns) if name in names]
        checksums = Checksums(names)
        for line in process.stdout:
            row = json.loads(line)
            checksums.add([java_value(row[place], kind) for place, kind in zip(places, kinds)])
    if process.returncode != 0:
        raise SystemExit(f"the Java SDK ended with {process.returncode}")
    return checksums


def java_value(text, kind):
    """Canonical value of a text of `ReadTable`."""
    if text is None:
        return None
    if kind.name in ("DOUBLE", "FLOAT"):
        return canonical.double(float(text), kind)
    return text.encode()


def main():
    """Reads the table partition and prints its checksums."""
    args = arguments()
    checksums = read_with_java(args) if args.java else read_with_python(args)
    print(json.dumps({"table": checksums.report()}, indent=1))


def read_with_python(args):
    """The checksums of what PyODPS reads."""
    # Date-times come in UTC: the canonical text is an instant, whatever this machine's zone is.
    options.local_timezone = False
    options.allow_antique_date = True
    # Texts and binaries of records come as the bytes that they are.
    options.tunnel.string_as_binary = True
    client = ODPS(
        args.access_id,
        os.environ[args.secret_from_env],
        project=args.project,
        endpoint=args.endpoint,
        tunnel_endpoint=args.tunnel_endpoint,
        schema=args.schema,
    )
    table = client.get_table(args.table)
    columns = [(column.name, str(column.type)) for column in table.table_schema.simple_columns]
    names, kinds = chosen(args, columns)
    checksums = Checksums(names)
    if args.form == "arrow":
        with table.open_reader(partition=args.partition, arrow=True) as reader:
            for batch in reader:
                add_batch(checksums, batch, names, kinds)
    else:
        with table.open_reader(partition=args.partition) as reader:
            for start in range(0, reader.count, READ_ROWS):
                add_records(checksums, reader[start : start + READ_ROWS], names, kinds)
    return checksums


if __name__ == "__main__":
    main()
