"""Reads a window of a topic and counts the bytes of its values, nothing else: what no loader in Python can be faster than."""

import argparse
import multiprocessing

import window

PROCESSES = 2


def count(brokers: str, topic: str, parts: list[window.Range]) -> tuple[int, int]:
    """Messages and bytes of some ranges."""
    number = size = 0
    for messages in window.messages(brokers, topic, parts):
        number += len(messages)
        size += sum(len(message.value()) for message in messages)
    return number, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ["brokers", "topic"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["start-ms", "end-ms"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()

    parts = window.ranges(args.brokers, args.topic, args.start_ms, args.end_ms)
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        counted = pool.starmap(count, [(args.brokers, args.topic, parts[number::PROCESSES]) for number in range(PROCESSES)])
        pool.close()
        pool.join()
    print(*(sum(column) for column in zip(*counted)))


if __name__ == "__main__":
    main()
