"""Loads a window of a topic of orders into a MaxCompute table partition: what a data engineer would write by hand."""

import argparse
import multiprocessing

import orjson
import pyarrow as pa
from confluent_kafka import Message
from odps import ODPS
from odps.tunnel import TableTunnel

import window

PROCESSES = 2
ROWS_PER_BATCH = 5_000
# Each process counts its blocks from a number of its own.
BLOCKS_PER_PROCESS = 1_000

SCHEMA = pa.schema(
    {
        "order_id": pa.int64(),
        "order_number": pa.string(),
        "order_status": pa.string(),
        "created_at": pa.string(),
        "total": pa.float64(),
        "gift": pa.bool_(),
        "user_id": pa.int64(),
        "user_name": pa.string(),
        "city": pa.string(),
        "first_sku": pa.string(),
        "payment_method": pa.string(),
        "payment_time": pa.int64(),
        "message_key": pa.string(),
        "message_value": pa.string(),
        "kafka_partition": pa.int64(),
        "kafka_offset": pa.int64(),
        "kafka_timestamp": pa.int64(),
        "headers": pa.string(),
    }
)


def row(message: Message, timestamp_ms: int) -> tuple:
    """The row of a message; missing fields are NULL."""
    value = message.value()
    document = orjson.loads(value)
    order = document.get("order") or {}
    user = document.get("user") or {}
    payment = document.get("payment") or {}
    items = document.get("items") or [{}]
    headers = [{"key": key, "value": text.decode()} for key, text in message.headers() or []]
    return (
        order.get("id"),
        order.get("number"),
        order.get("status"),
        order.get("created_at"),
        order.get("total"),
        order.get("gift"),
        user.get("id"),
        user.get("name"),
        (user.get("address") or {}).get("city"),
        items[0].get("sku"),
        payment.get("method"),
        payment.get("time"),
        message.key(),
        value,
        message.partition(),
        message.offset(),
        timestamp_ms,
        orjson.dumps(headers),
    )


def batch(rows: list[tuple]) -> pa.RecordBatch:
    """The rows as Arrow has them."""
    columns = [pa.array(values, field.type) for values, field in zip(zip(*rows), SCHEMA)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def tunnel(args: argparse.Namespace) -> TableTunnel:
    """The service's tunnel."""
    return TableTunnel(client(args))


def client(args: argparse.Namespace) -> ODPS:
    """The service."""
    return ODPS("bench", "bench", args.project, endpoint=args.endpoint)


def load(args: argparse.Namespace, upload_id: str, number: int, parts: list[window.Range]) -> tuple[int, list[int]]:
    """Loads some ranges in a process of their own, and gives the number of rows and the blocks that have them."""
    session = tunnel(args).create_upload_session(args.table, partition_spec=args.partition, upload_id=upload_id)
    count, rows = 0, []
    with session.open_arrow_writer(initial_block_id=number * BLOCKS_PER_PROCESS) as writer:
        for messages in window.messages(args.brokers, args.topic, parts):
            for message in messages:
                _, timestamp_ms = message.timestamp()
                if args.start_ms <= timestamp_ms < args.end_ms:
                    rows.append(row(message, timestamp_ms))
            if len(rows) >= ROWS_PER_BATCH:
                writer.write(batch(rows))
                count, rows = count + len(rows), []
        if rows:
            writer.write(batch(rows))
            count += len(rows)
    return count, writer.get_blocks_written()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["brokers", "topic", "endpoint", "project", "table", "partition"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["start-ms", "end-ms"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()

    parts = window.ranges(args.brokers, args.topic, args.start_ms, args.end_ms)
    client(args).get_table(args.table).create_partition(args.partition, if_not_exists=True)
    session = tunnel(args).create_upload_session(args.table, partition_spec=args.partition, overwrite=True)
    tasks = [(args, session.id, number, parts[number::PROCESSES]) for number in range(PROCESSES)]
    # Not forked: librdkafka's threads would be missing in the children.
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        loaded = pool.starmap(load, tasks)
        pool.close()
        pool.join()
    session.commit([block for _, blocks in loaded for block in blocks])
    print(sum(count for count, _ in loaded))


if __name__ == "__main__":
    main()
