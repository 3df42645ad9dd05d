"""Reads a window of a topic as Python programs do: from the broker's look-up of its start to that of its end."""

from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

TIMEOUT_SECONDS = 30
MESSAGES_AT_ONCE = 2_000

# Partition, first offset that is read, first that is not.
Range = tuple[int, int, int]


def consumer(brokers: str) -> Consumer:
    """A consumer that assigns itself; its queue is filled again at once, not after a second, as by default."""
    return Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "alternatives",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 10,
        }
    )


def ranges(brokers: str, topic: str, start_ms: int, end_ms: int) -> list[Range]:
    """What is to be read in each topic partition."""
    client = consumer(brokers)
    partitions = sorted(client.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic].partitions)

    def offsets(timestamp_ms: int) -> dict[int, int]:
        asked = [TopicPartition(topic, partition, timestamp_ms) for partition in partitions]
        found = {}
        for answer in client.offsets_for_times(asked, timeout=TIMEOUT_SECONDS):
            if answer.error:
                raise KafkaException(answer.error)
            # No message at or after that time: the end of the log.
            _, end = client.get_watermark_offsets(answer, timeout=TIMEOUT_SECONDS)
            found[answer.partition] = end if answer.offset < 0 else answer.offset
        return found

    starts, ends = offsets(start_ms), offsets(end_ms)
    client.close()
    return [(partition, starts[partition], ends[partition]) for partition in partitions if starts[partition] < ends[partition]]


def messages(brokers: str, topic: str, parts: list[Range]) -> Iterator[list[Message]]:
    """The messages of the ranges, many at a time."""
    client = consumer(brokers)
    client.assign([TopicPartition(topic, partition, start) for partition, start, _ in parts])
    ends = {partition: end for partition, _, end in parts}
    while ends:
        received = client.consume(MESSAGES_AT_ONCE, timeout=1.0)
        wanted = []
        for message in received:
            partition, error = message.partition(), message.error()
            if error and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            end = ends.get(partition)
            if end is None:
                continue
            if not error and message.offset() < end:
                wanted.append(message)
            if message.offset() >= end - 1:
                del ends[partition]
                client.pause([TopicPartition(topic, partition)])
        if wanted:
            yield wanted
    client.close()
