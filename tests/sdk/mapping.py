"""From a message to canonical values: which column takes what, and how a JSON value becomes a table's.

A mapping is a JSON list with one object per table column:

    {"column": "city",    "type": "STRING",   "path": "user.address.city"}
    {"column": "paid_at", "type": "DATETIME", "path": "payment.time", "format": "epoch_ms"}
    {"column": "at",      "type": "BIGINT",   "metadata": "timestamp"}      key value partition headers offset timestamp
    {"column": "channel", "type": "STRING",   "constant": "web"}

How values are converted:

- JSON null, a missing key, an index out of range and a step into a scalar are NULL; so is every path of a tombstone.
- Text columns take a string's text, a number's literal, `true`/`false`, and of an object or array the very slice.
- Number columns take numbers, and strings that spell one; the value must fit exactly, only DOUBLE and FLOAT round.
  BOOLEAN fits integers as 1 or 0.
- BOOLEAN takes booleans, `true`/`false` in any case, and integers as "not zero".
- Instants take integers (`format`: epoch_s, epoch_ms, epoch_us, epoch_ns; epoch_ms unless given), and ISO 8601 text with
  an offset, or without one in the job's zone.
- Anything else is rejected, and the whole message with it.
"""

import base64
import datetime
import decimal
import json
import re
import zoneinfo

import canonical
from canonical import ColumnType, Unfit
from json_slices import NUMBER, Malformed, Projection, unescape

METADATA = {"key", "value", "partition", "headers", "offset", "timestamp"}
EPOCH_FORMATS = {"epoch_s": 10**9, "epoch_ms": 10**6, "epoch_us": 10**3, "epoch_ns": 1}
NUMBER_TEXT = re.compile(NUMBER).fullmatch
INSTANT_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[ Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?)?([Zz]|[+-]\d\d:\d\d)?"
).fullmatch
NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Mapping:
    """A checked mapping, ready to turn messages into rows."""

    def __init__(self, columns, zone="UTC"):
        self.zone = zoneinfo.ZoneInfo(zone)
        self.names = [column["column"] for column in columns]
        self.kinds = [ColumnType(column["type"]) for column in columns]
        self.paths = sorted({column["path"] for column in columns if "path" in column})
        self.projection = Projection(self.paths)
        numbers = {path: number for number, path in enumerate(self.paths)}
        self.takers = [self.taker(column, kind, numbers) for column, kind in zip(columns, self.kinds)]

    def taker(self, column, kind, numbers):
        """The function (message, slices) → canonical value of one column."""
        sources = [name for name in ("path", "metadata", "constant") if name in column]
        if len(sources) != 1:
            raise ValueError(f"column {column['column']!r} has {len(sources)} sources; give path, metadata or constant")
        if "constant" in column:
            value = from_text(column["constant"], kind, column.get("format"), self.zone)
            return lambda message, slices: value
        if "path" in column:
            number, form, zone = numbers[column["path"]], column.get("format"), self.zone
            return lambda message, slices: from_slice(slices[number], kind, form, zone)
        if column["metadata"] not in METADATA:
            raise ValueError(f"metadata {column['metadata']!r} is none of {sorted(METADATA)}")
        return metadata_taker(column["metadata"], kind, self.zone)

    def row(self, message):
        """Canonical values of one message, in the order of the columns. Raises Malformed or Unfit."""
        if self.paths and message.payload is not None:
            try:
                text = message.payload.decode("utf-8")
            except UnicodeDecodeError:
                raise Malformed("not UTF-8") from None
            slices = self.projection.scan(text)
        else:
            slices = [None] * len(self.paths)
        return [take(message, slices) for take in self.takers]


class Message:
    """The parts of a Kafka message that columns are made of."""

    __slots__ = ("partition", "offset", "timestamp_ms", "key", "payload", "headers")

    def __init__(self, partition, offset, timestamp_ms, key, payload, headers):
        self.partition = partition
        self.offset = offset
        self.timestamp_ms = timestamp_ms
        self.key = key
        self.payload = payload
        self.headers = headers or []


def metadata_taker(name, kind, zone):
    """The function (message, slices) → canonical value of a metadata column."""
    if name in ("key", "value"):
        attribute = "key" if name == "key" else "payload"
        return lambda message, slices: from_bytes(getattr(message, attribute), kind, zone)
    if name == "headers":
        return lambda message, slices: from_text(headers_text(message.headers), kind, None, zone)
    if name == "timestamp":
        return lambda message, slices: from_integer(message.timestamp_ms, kind, 10**6)
    return lambda message, slices: from_integer(getattr(message, name), kind, 10**6)


def headers_text(headers):
    """Headers as a JSON array in their order, for they may repeat; bytes that are not UTF-8 as marked base64."""
    out = []
    for key, value in headers:
        if value is None:
            out.append({"key": key, "value": None})
            continue
        try:
            out.append({"key": key, "value": value.decode("utf-8")})
        except UnicodeDecodeError:
            out.append({"key": key, "base64": base64.b64encode(value).decode()})
    return json.dumps(out, ensure_ascii=False, separators=(",", ":"))


def from_slice(found, kind, form, zone):
    """Canonical value of what a field path found."""
    if found is None or found.kind == "null":
        return None
    if found.kind == "string":
        return from_text(unescape(found.text), kind, form, zone)
    if kind.name in canonical.TEXT_TYPES:
        return found.text.encode()
    if found.kind == "number":
        return from_number(found.text, kind, form)
    if found.kind == "boolean":
        if kind.name == "BOOLEAN":
            return found.text.encode()
        if kind.name in canonical.INTEGER_BITS:
            return b"1" if found.text == "true" else b"0"
    raise Unfit(f"{found.kind} for {kind.name}")


def from_number(text, kind, form):
    """Canonical value of a JSON number's literal."""
    name = kind.name
    if name in ("DOUBLE", "FLOAT"):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise Unfit(f"out of range for {name}")
        return canonical.double(value, kind)
    if name == "DECIMAL":
        return canonical.decimal_text(exact(text, name), kind)
    if name in canonical.INTEGER_BITS:
        return canonical.integer(whole(text, name), kind)
    if name == "BOOLEAN":
        if not text.lstrip("-").isdigit():
            raise Unfit("number for BOOLEAN")
        return b"true" if text.strip("-0") else b"false"
    if name in canonical.INSTANT_TYPES:
        return from_integer(whole(text, name), kind, EPOCH_FORMATS[form or "epoch_ms"])
    raise Unfit(f"number for {name}")


def exact(text, name):
    """The Decimal of a number's literal, digit for digit."""
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise Unfit(f"out of range for {name}") from None


def whole(text, name):
    """The integer that a number's literal stands for, however it is spelled."""
    if len(text) > 400:
        raise Unfit(f"out of range for {name}")
    if text.lstrip("-").isdigit():
        return int(text)
    value = exact(text, name)
    if value.adjusted() > 40:
        raise Unfit(f"out of range for {name}")
    if value != value.to_integral_value():
        raise Unfit(f"fraction for {name}")
    return int(value)


def from_integer(value, kind, unit_ns):
    """Canonical value of an integer that the message carries; instants count in units of `unit_ns` nanoseconds."""
    if kind.name in canonical.TEXT_TYPES:
        return b"%d" % value
    if kind.name in canonical.INSTANT_TYPES:
        return canonical.instant(value * unit_ns, kind)
    return from_number(str(value), kind, None)


def from_bytes(value, kind, zone):
    """Canonical value of a message's key or payload."""
    if value is None:
        return None
    if kind.name == "BINARY":
        return value.hex().encode()
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Unfit("not UTF-8") from None
    return from_text(text, kind, None, zone)


def from_text(text, kind, form, zone):
    """Canonical value of a text: a JSON string's, a key's, a constant."""
    name = kind.name
    if name in canonical.TEXT_TYPES or name == "BINARY":
        try:
            encoded = text.encode("utf-8")
        except UnicodeEncodeError:
            raise Unfit("half a surrogate pair") from None
        return encoded.hex().encode() if name == "BINARY" else encoded
    if name == "BOOLEAN":
        if text.lower() in ("true", "false"):
            return text.lower().encode()
        raise Unfit("text for BOOLEAN")
    if name == "DATE":
        match = INSTANT_TEXT(text)
        if match is None or match[4] is not None or match[8] is not None:
            raise Unfit("text for DATE")
        return date_of(match).isoformat().encode()
    if name in canonical.INSTANT_TYPES:
        if form in EPOCH_FORMATS and text.lstrip("-").isdigit():
            return from_integer(int(text), kind, EPOCH_FORMATS[form])
        return canonical.instant(instant_of(text, zone), kind)
    if name in ("DOUBLE", "FLOAT") and text in NON_FINITE:
        return canonical.double(NON_FINITE[text], kind)
    if NUMBER_TEXT(text) is None:
        raise Unfit(f"text for {name}")
    return from_number(text, kind, form)


def date_of(match):
    """The date that a matched text begins with."""
    try:
        return datetime.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise Unfit("no such date") from None


def instant_of(text, zone):
    """Nanoseconds since the epoch of an ISO 8601 text."""
    match = INSTANT_TEXT(text)
    if match is None:
        raise Unfit("text for an instant")
    day = date_of(match)
    offset = match[8]
    if offset is None:
        tz = zone
    elif offset in "Zz":
        tz = datetime.timezone.utc
    else:
        minutes = int(offset[1:3]) * 60 + int(offset[4:6])
        tz = datetime.timezone(datetime.timedelta(minutes=-minutes if offset[0] == "-" else minutes))
    try:
        clock = datetime.time(int(match[4] or 0), int(match[5] or 0), int(match[6] or 0))
    except ValueError:
        raise Unfit("no such time of day") from None
    moment = datetime.datetime.combine(day, clock, tz)
    fraction = int((match[7] or "").ljust(9, "0"))
    return canonical.nanoseconds_of(moment) + fraction
