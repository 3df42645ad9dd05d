"""What a table column must hold, as canonical text, and order-free checksums over it.

Both halves of the check use this module: `truth.py` comes from the messages of a topic, `table_truth.py` from the rows
of a table. A value is `None` for NULL or bytes:

| type                              | canonical text                                            |
|-----------------------------------|-----------------------------------------------------------|
| TINYINT, SMALLINT, INT, BIGINT    | decimal digits, `-` for negatives                         |
| DOUBLE, FLOAT                     | Python's shortest repr of the value as a 64-bit float     |
| DECIMAL(p,s)                      | plain notation with exactly `s` fraction digits, no `-0`  |
| BOOLEAN                           | `true`, `false`                                           |
| STRING, VARCHAR(n), CHAR(n), JSON | the text in UTF-8                                         |
| BINARY                            | the bytes in lower-case hexadecimal                       |
| DATE                              | `yyyy-mm-dd`                                              |
| DATETIME                          | milliseconds since the epoch                              |
| TIMESTAMP, TIMESTAMP_NTZ          | nanoseconds since the epoch                               |
"""

import datetime
import decimal
import re
import struct

import xxhash

MASK = (1 << 64) - 1
INTEGER_BITS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64}
TEXT_TYPES = {"STRING", "VARCHAR", "CHAR", "JSON"}
INSTANT_TYPES = {"DATETIME", "TIMESTAMP", "TIMESTAMP_NTZ"}
TYPE = re.compile(r"(?P<name>[A-Z_]+)(?:\((?P<a>\d+)(?:,\s*(?P<b>\d+))?\))?\Z")

# Wide enough for every DECIMAL(38,18) and for the product of two.
EXACT = decimal.Context(prec=200, rounding=decimal.ROUND_HALF_UP, traps=[decimal.InvalidOperation])

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
EPOCH_DAY = datetime.date(1970, 1, 1)


class Unfit(Exception):
    """The value can't be held by the column's type; the message says why, in words that are good for counting."""


class ColumnType:
    """A MaxCompute type: its upper-case `name`, and for a DECIMAL its `precision` and `scale`."""

    def __init__(self, text):
        match = TYPE.match(text.strip().upper())
        if match is None:
            raise ValueError(f"type {text!r} can't be read")
        self.name = match["name"]
        self.precision = self.scale = None
        if self.name == "DECIMAL":
            self.precision = int(match["a"] or 38)
            # DECIMAL alone is DECIMAL(38,18); DECIMAL(p) has no fraction.
            self.scale = int(match["b"] or (0 if match["a"] else 18))
        elif self.name not in INTEGER_BITS and self.name not in TEXT_TYPES | INSTANT_TYPES | {
            "DOUBLE", "FLOAT", "BOOLEAN", "BINARY", "DATE",
        }:
            raise ValueError(f"type {text!r} is not one that this check knows")


def integer(value, kind):
    """Canonical text of a Python int in an integer column."""
    limit = 1 << (INTEGER_BITS[kind.name] - 1)
    if not -limit <= value < limit:
        raise Unfit(f"out of range for {kind.name}")
    return b"%d" % value


def double(value, kind):
    """Canonical text of a Python float in a DOUBLE or FLOAT column; a FLOAT is rounded to 32 bits first."""
    if kind.name == "FLOAT":
        try:
            value = struct.unpack("<f", struct.pack("<f", value))[0]
        except OverflowError:
            raise Unfit("out of range for FLOAT") from None
    return repr(value).encode()


def decimal_text(value, kind):
    """Canonical text of a Decimal; a value that would need rounding doesn't fit."""
    if not value.is_finite():
        raise Unfit("not a number for DECIMAL")
    try:
        fitted = value.quantize(decimal.Decimal(1).scaleb(-kind.scale), context=EXACT)
    except decimal.InvalidOperation:
        raise Unfit("too many digits for DECIMAL") from None
    if fitted != value:
        raise Unfit("needs rounding for DECIMAL")
    if fitted.adjusted() >= kind.precision - kind.scale and fitted:
        raise Unfit("too many digits for DECIMAL")
    if not fitted:
        fitted = abs(fitted)
    return format(fitted, "f").encode()


def instant(nanoseconds, kind):
    """Canonical text of an instant, given in nanoseconds since the epoch."""
    if kind.name != "DATETIME":
        return b"%d" % nanoseconds
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    if rest:
        raise Unfit("finer than a millisecond for DATETIME")
    return b"%d" % milliseconds


def nanoseconds_of(moment):
    """Nanoseconds since the epoch of a datetime with a zone, without a detour through floats."""
    delta = moment - EPOCH
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000


class Checksums:
    """Order-free sums over rows: one per column, and one over whole rows that ties the columns together.

    Each value is hashed with its column's name as the seed, NULL with a seed of its own; the sums are kept modulo
    2^64. Two tables with the same rows have the same sums, in whatever order the rows come.
    """

    def __init__(self, names):
        self.names = [name.lower() for name in names]
        self.seeds = [xxhash.xxh3_64_intdigest(name.encode()) for name in self.names]
        self.null_digests = [xxhash.xxh3_64_intdigest(name.encode() + b"\0NULL") for name in self.names]
        self.sums = [0] * len(names)
        self.nulls = [0] * len(names)
        self.row_sum = 0
        self.rows = 0

    def add(self, row):
        """Counts one row: a canonical value per column, in the order of the names."""
        digest_of = xxhash.xxh3_64_intdigest
        sums, nulls, seeds = self.sums, self.nulls, self.seeds
        digests = []
        for number, value in enumerate(row):
            if value is None:
                nulls[number] += 1
                digest = self.null_digests[number]
            else:
                digest = digest_of(value, seeds[number])
            sums[number] += digest
            digests.append(digest)
        self.row_sum += digest_of(struct.pack(f"<{len(digests)}Q", *digests))
        self.rows += 1

    def merge(self, other):
        """Adds the sums of other rows of the same columns."""
        if self.names != other.names:
            raise ValueError("checksums of different columns can't be added")
        self.sums = [a + b for a, b in zip(self.sums, other.sums)]
        self.nulls = [a + b for a, b in zip(self.nulls, other.nulls)]
        self.row_sum += other.row_sum
        self.rows += other.rows

    def report(self):
        """The part of a report that both halves must agree on."""
        return {
            "rows": self.rows,
            "row_checksum": f"{self.row_sum & MASK:016x}",
            "columns": {
                name: {"checksum": f"{total & MASK:016x}", "nulls": nulls}
                for name, total, nulls in sorted(zip(self.names, self.sums, self.nulls))
            },
        }
