"""What all checks need: the connection, tables of their own, rows, and assertions about refusals."""

import decimal
import itertools

import pyarrow as pa
from odps import ODPS, options
from odps.tunnel import CompressOption, TableTunnel

# Instants are UTC, also those before 1928, whatever this machine's zone is.
options.local_timezone = False
options.allow_antique_date = True
options.sql.use_odps2_extension = True
options.verbose = False

PREFIX = "pyodps_"
CODECS = [
    CompressOption.CompressAlgorithm.ODPS_ZLIB,
    CompressOption.CompressAlgorithm.ODPS_ZSTD,
    CompressOption.CompressAlgorithm.ODPS_LZ4,
    CompressOption.CompressAlgorithm.ODPS_SNAPPY,
]


class Server:
    """A server, and clients of it."""

    def __init__(self, endpoint, project, access_id, secret):
        self.endpoint = endpoint
        self.project = project
        self.access_id = access_id
        self.secret = secret
        self.o = self.client()
        self.tunnel = TableTunnel(self.o)
        self.made = set()

    def client(self, access_id=None, secret=None, **more):
        """A client with other credentials or settings."""
        access_id, secret = access_id or self.access_id, secret or self.secret
        return ODPS(access_id, secret, self.project, endpoint=self.endpoint, **more)

    def fresh(self, name, columns, partition=None, **more):
        """An empty table, whose name gets the prefix."""
        self.made.add(PREFIX + name)
        self.o.delete_table(PREFIX + name, if_exists=True)
        return self.o.create_table(PREFIX + name, (columns, partition) if partition else columns, **more)

    def rows(self, sql, **more):
        """The rows of a query."""
        with self.o.execute_sql(sql, **more).open_reader() as reader:
            return [record.values for record in reader]

    def drop_all(self):
        """Drops the tables that were made."""
        for name in self.made:
            self.o.delete_table(name, if_exists=True)


def option(algorithm):
    """A new option: PyODPS changes those that it is given."""
    return algorithm and CompressOption(algorithm)


def people(numbers):
    """Rows (id bigint, name string, price decimal(10,2)) with these ids; every third has no name."""
    numbers = list(numbers)
    names = [None if number % 3 == 2 else f"n{number}" for number in numbers]
    prices = [decimal.Decimal(number * 100 + 50).scaleb(-2) for number in numbers]
    return [list(row) for row in zip(numbers, names, prices)]


PEOPLE = "id bigint, name string, price decimal(10,2)"
PEOPLE_ARROW = [pa.int64(), pa.string(), pa.decimal128(10, 2)]


def people_batch(numbers):
    """The same as a RecordBatch."""
    by_column = zip(PEOPLE_ARROW, zip(*people(numbers)))
    return pa.RecordBatch.from_arrays([pa.array(column, kind) for kind, column in by_column], ["id", "name", "price"])


def values_of(reader):
    """The rows of a record reader."""
    return [record.values for record in reader]


def arrow_table(reader):
    """The table of an Arrow reader; it has a batch at least, also without rows."""
    return pa.Table.from_batches(list(reader))


def arrow_rows(reader):
    """The rows of an Arrow reader, in its columns' order."""
    return list(itertools.chain.from_iterable(zip(*batch.to_pydict().values()) for batch in reader))


def equal(what, expected, found):
    """Fails unless both are the same."""
    assert expected == found, f"{what}: found {found!r}, expected {expected!r}"


def refused(kind, part, call):
    """Fails unless `call` raises `kind` with `part` in its text or as its code; returns the error."""
    try:
        call()
    except kind as error:
        assert part in str(error) or part == getattr(error, "code", None), f"{part!r} is not in {error!r}"
        return error
    raise AssertionError(f"nothing was refused; {kind.__name__} with {part!r} was expected")
