"""Topics with orders from a seed, and what a window of theirs holds."""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

PARTITIONS = 4
HOUR_MS = 3_600_000
# The window is this day in China; messages are stamped from an hour before it to an hour behind it.
START_MS = int(datetime.fromisoformat("2026-11-22T00:00+08:00").timestamp() * 1000)
END_MS = START_MS + 24 * HOUR_MS
FIRST_MS, SPAN_MS = START_MS - HOUR_MS, 26 * HOUR_MS

WORDS = ["加载", "昨天的消息", "window", "closed", "open", "お早う", "😀", "delivered", '\\"quoted\\"', "caf\\u00e9", "offset", "line\\nbreak"]
NAMES = ["张伟", "Mary Major", "Bj\\u00f6rn", "李 娜"]
CITIES = ["杭州", "上海", "Zürich", "成都"]


@dataclass(frozen=True)
class Topic:
    """A topic to fill."""

    name: str
    messages: int
    # In order of their timestamps and all of them JSON, but for `ahead`: the message in the middle is stamped two days later; `late`: a
    # hundred of the window's last minute come a minute of messages behind its end; `broken`: the message in the middle is cut off.
    fault: Literal["none", "ahead", "late", "broken"] = "none"


@dataclass(frozen=True)
class Window:
    """What the window of a topic holds."""

    rows: int
    # Of the values alone.
    payload_bytes: int


def fill(brokers: str, topic: Topic, folder: Path) -> Window:
    """Makes and fills the topic unless that was done before, as a file in the folder says."""
    stamp = folder / f"{topic.name}.json"
    if stamp.exists():
        known = json.loads(stamp.read_text())
        if known["topic"] == asdict(topic):
            return Window(**known["window"])
    print(f"filling the topic {topic.name} with {topic.messages} messages", flush=True)
    make(AdminClient({"bootstrap.servers": brokers}), topic.name)
    producer = Producer({"bootstrap.servers": brokers, "compression.type": "lz4", "linger.ms": 50, "log_level": 3, "queue.buffering.max.messages": 1_000_000})
    failures = []
    rows = payload_bytes = 0
    for number, (timestamp_ms, key, value, headers) in enumerate(messages(topic)):
        if START_MS <= timestamp_ms < END_MS:
            rows += 1
            payload_bytes += len(value)
        while True:
            try:
                producer.produce(
                    topic.name, value, key, number % PARTITIONS, timestamp=timestamp_ms, headers=headers,
                    on_delivery=lambda error, _: error and failures.append(error),
                )  # fmt: skip
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    if failures:
        raise SystemExit(f"{len(failures)} messages did not reach {topic.name}: {failures[0]}")
    window = Window(rows, payload_bytes)
    stamp.write_text(json.dumps({"topic": asdict(topic), "window": asdict(window)}))
    return window


def make(admin: AdminClient, name: str) -> None:
    """Makes the topic, anew where it is half filled or another one."""
    if name in admin.list_topics(timeout=30).topics:
        admin.delete_topics([name], operation_timeout=30)[name].result()
    settings = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    admin.create_topics([NewTopic(name, PARTITIONS, 1, config=settings)], operation_timeout=30)[name].result()


def messages(topic: Topic) -> Iterator[tuple[int, str, bytes, list[tuple[str, bytes]]]]:
    """Timestamp, key, value and headers of each message."""
    rng = random.Random(20_261_122)
    times = timestamps(topic)
    for number, timestamp_ms in enumerate(times):
        user = rng.randrange(1 << 32)
        value = order(rng, number, user, timestamp_ms)
        if topic.fault == "broken" and number == topic.messages // 2:
            value = value[:-1]
        headers = [("trace", b"%032x" % rng.getrandbits(128)), ("source", rng.choice([b"app", b"web", b"shop"]))]
        yield timestamp_ms, f"user-{user}", value.encode(), headers


def timestamps(topic: Topic) -> list[int]:
    """The messages' timestamps in the order of the log."""
    times = [FIRST_MS + number * SPAN_MS // topic.messages for number in range(topic.messages)]
    if topic.fault == "ahead":
        times[topic.messages // 2] += 48 * HOUR_MS
    if topic.fault == "late":
        behind = next(number for number, time in enumerate(times) if time >= END_MS + 60_000)
        times[behind : behind + 100] = [END_MS - 60_000 + number for number in range(100)]
    return times


def order(rng: random.Random, number: int, user: int, timestamp_ms: int) -> str:
    """An order of about 700 bytes."""
    items = ",".join(
        f'{{"sku":"SKU-{rng.randrange(100_000):05}","quantity":{rng.randrange(1, 9)},"price":{rng.uniform(1, 1000):.2f},'
        f'"tags":["{rng.choice(["new", "sale", "易碎"])}"]}}'
        for _ in range(rng.randrange(1, 4))
    )
    return (
        f'{{"order":{{"id":{rng.getrandbits(62)},"number":"SO-{number:012}","status":"{rng.choice(["created", "paid", "shipped"])}",'
        f'"created_at":"{created_at(timestamp_ms)}","total":{rng.uniform(1, 10_000):.2f},"currency":"CNY",'
        f'"gift":{rng.choice(["true", "false"])},"note":"{text(rng, 6)}"}},'
        f'"user":{{"id":{user},"name":"{rng.choice(NAMES)}","level":{rng.randrange(10)},'
        f'"email":"user{user}@example.com","address":{{"city":"{rng.choice(CITIES)}","street":"{text(rng, 3)}",'
        f'"zip":"{rng.randrange(1_000_000):06}","geo":[{rng.uniform(73, 135):.6f},{rng.uniform(18, 53):.6f}]}}}},"items":[{items}],'
        f'"payment":{{"method":"{rng.choice(["alipay", "card", "cash"])}","time":{timestamp_ms + rng.randrange(60_000)},'
        f'"fee":{rng.random():.4f}}},"attributes":{{"source":"app","trace":"{rng.getrandbits(128):032x}"}}}}'
    )


def text(rng: random.Random, words: int) -> str:
    """Words, some escaped and some not ASCII, with numbers between them."""
    return " ".join(f"{rng.choice(WORDS)} {rng.getrandbits(16):x}" for _ in range(words))


def created_at(timestamp_ms: int) -> str:
    """The time of day in China, of whatever day."""
    seconds, ms = divmod((timestamp_ms + 8 * HOUR_MS) % (24 * HOUR_MS), 1000)
    return f"2026-11-22T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}+08:00"
