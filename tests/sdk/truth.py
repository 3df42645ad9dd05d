"""What a load of one window of a topic must put into a table, worked out without the loader.

Reads every message of the topic up to the offsets at the start, keeps those whose timestamp is in `[start, end)`, applies a
column mapping (see `mapping.py`) and prints one JSON object: counts per topic partition, rejects by reason, and the
checksums that `table_truth.py` prints for a table.

    truth.py --brokers 127.0.0.1:9092 --topic orders --mapping columns.json --start-ms 0 --end-ms 86400000
"""

import argparse
import collections
import json
import multiprocessing
import pathlib

import confluent_kafka
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaError, TopicPartition

from canonical import Checksums, Unfit
from json_slices import Malformed
from mapping import Mapping, Message

CALL_SECONDS = 30.0
# How many waits of a second without a message, or the end, before the broker counts as gone.
SILENT_SECONDS_MAX = 60
# A part smaller than this isn't worth a process of its own.
PART_OFFSETS_MIN = 50_000


def arguments():
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--mapping", required=True, type=pathlib.Path, help="JSON file with the column mapping")
    parser.add_argument("--start-ms", required=True, type=int, help="first timestamp of the window")
    parser.add_argument("--end-ms", required=True, type=int, help="first timestamp behind the window")
    parser.add_argument("--zone", default="UTC", help="time zone of date-times without an offset")
    parser.add_argument("--tombstones", choices=["keep", "skip"], default="keep")
    parser.add_argument("--isolation", choices=["read_committed", "read_uncommitted"], default="read_committed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="a librdkafka setting")
    return parser.parse_args()


def consumer(args):
    """A consumer that belongs to no group and reports the end of each topic partition."""
    settings = {
        "bootstrap.servers": args.brokers,
        "group.id": "truth",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "check.crcs": True,
        "isolation.level": args.isolation,
        "queued.max.messages.kbytes": 65536,
    }
    settings.update(option.split("=", 1) for option in args.option)
    return confluent_kafka.Consumer(settings)


def parts_of(args):
    """The work: (topic partition, first offset, offset to stop before), cut so that all processes have some."""
    client = consumer(args)
    topic = client.list_topics(args.topic, timeout=CALL_SECONDS).topics[args.topic]
    if topic.error is not None:
        raise SystemExit(f"topic {args.topic!r}: {topic.error}; is the name right?")
    bounds = {}
    for number in sorted(topic.partitions):
        bounds[number] = client.get_watermark_offsets(TopicPartition(args.topic, number), timeout=CALL_SECONDS)
    client.close()
    total = sum(high - low for low, high in bounds.values())
    step = max(PART_OFFSETS_MIN, -(-total // (args.processes * 4)))
    parts = []
    for number, (low, high) in bounds.items():
        for start in range(low, high, step):
            parts.append((number, start, min(start + step, high)))
    return bounds, parts


def messages(client, topic, part):
    """Yields the raw messages of one part in batches, and stops at its end, holes or not."""
    number, start, end = part
    client.assign([TopicPartition(topic, number, start)])
    silent = 0
    while True:
        batch = client.consume(num_messages=2000, timeout=1.0)
        silent = silent + 1 if not batch else 0
        if silent > SILENT_SECONDS_MAX:
            raise SystemExit(f"{topic}/{number}: nothing came for {silent} s between {start} and {end}")
        kept = []
        for raw in batch:
            error = raw.error()
            if error is None:
                if raw.offset() >= end:
                    yield kept
                    return
                kept.append(raw)
            elif error.code() == KafkaError._PARTITION_EOF:
                yield kept
                return
            else:
                raise SystemExit(f"{topic}/{number}: {error}")
        yield kept
        if kept and kept[-1].offset() == end - 1:
            return


def read_part(args, part):
    """Counts, rejects and checksums of one part."""
    mapping = Mapping(json.loads(args.mapping.read_text("utf-8")), args.zone)
    checksums = Checksums(mapping.names)
    counts, rejects = collections.Counter(), collections.Counter()
    client = consumer(args)
    for batch in messages(client, args.topic, part):
        for raw in batch:
            counts["messages"] += 1
            stamp_type, timestamp_ms = raw.timestamp()
            if stamp_type == TIMESTAMP_NOT_AVAILABLE:
                counts["without_timestamp"] += 1
                continue
            if not args.start_ms <= timestamp_ms < args.end_ms:
                continue
            counts["in_window"] += 1
            payload = raw.value()
            if payload is None:
                counts["tombstones"] += 1
                if args.tombstones == "skip":
                    continue
            message = Message(part[0], raw.offset(), timestamp_ms, raw.key(), payload, raw.headers())
            try:
                row = mapping.row(message)
            except Malformed:
                rejects["malformed"] += 1
            except Unfit as reason:
                rejects[str(reason)] += 1
            else:
                counts["rows"] += 1
                checksums.add(row)
    client.close()
    return part[0], counts, rejects, checksums


def main():
    """Reads all parts in a few processes and prints the sum."""
    args = arguments()
    bounds, parts = parts_of(args)
    mapping = Mapping(json.loads(args.mapping.read_text("utf-8")), args.zone)
    total, rejects = Checksums(mapping.names), collections.Counter()
    partitions = {
        number: collections.Counter(
            messages=0, in_window=0, rows=0, tombstones=0, rejected=0, without_timestamp=0, low=low, high=high
        )
        for number, (low, high) in bounds.items()
    }
    # A librdkafka client doesn't survive a fork: every process starts afresh.
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for number, counts, reasons, checksums in pool.starmap(read_part, [(args, part) for part in parts], 1):
            partitions[number].update(counts)
            partitions[number]["rejected"] += sum(reasons.values())
            rejects.update(reasons)
            total.merge(checksums)
    report = {
        "topic": args.topic,
        "window": {"start_ms": args.start_ms, "end_ms": args.end_ms},
        "partitions": {str(number): dict(counts) for number, counts in partitions.items()},
        "rejects": dict(sorted(rejects.items())),
        "table": total.report(),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
