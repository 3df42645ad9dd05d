"""Compares tidegate with what else loads a window of a topic; README.md, a folder up, says how to run it and what came out."""

import argparse
import shutil
import signal
import sys
from pathlib import Path
from statistics import median

import pyarrow as pa

import measure
import servers
import topic
from loaders import CountBytes, Loader, Place, Python, Reader, Spark, Tidegate

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
SMALL_MESSAGES = 80_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tidegate", type=Path, default=ROOT / "target/release/tidegate", help="the program")
    parser.add_argument("--messages", type=int, default=1_500_000, help="of the large topic")
    parser.add_argument("--rounds", type=int, default=3, help="how often each loader runs on it")
    args = parser.parse_args()
    # So that the servers end with this program however it is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))

    folder = CACHE / "alternatives"
    shutil.rmtree(folder / "maxcompute", ignore_errors=True)
    with (
        servers.kafka(CACHE / "kafka-4.1.0/libs", folder / "kafka") as brokers,
        servers.maxcompute(args.tidegate, folder / "maxcompute") as endpoint,
    ):
        place = Place(brokers, endpoint, folder, args.tidegate, CACHE / "spark-kafka")
        loaders: list[Loader] = [Tidegate(place), Python(place), Spark(place)]
        agree(place, loaders)
        faults(place, loaders)
        rounds(place, [*loaders, CountBytes(place)], args.messages, args.rounds)


def run(reader: Reader, place: Place, name: str) -> measure.Measured:
    """Runs a reader on a topic."""
    command, env = reader.command(name)
    return measure.run(command, place.log(reader.name), env)


def agree(place: Place, loaders: list[Loader]) -> None:
    """Fails unless all loaders make the same rows of a small topic, cell by cell."""
    small = topic.Topic("small", SMALL_MESSAGES)
    held = topic.fill(place.brokers, small, place.folder)
    known = None
    for loader in loaders:
        run(loader, place, small.name)
        cells = comparable(loader.cells(small.name))
        known = cells if known is None else known
        if cells.num_rows != held.rows or not cells.equals(known):
            raise SystemExit(f"{loader.name} makes other rows of the topic {small.name}")
    print(f"All loaders make the same {held.rows} rows of a small topic, cell by cell.\n", flush=True)


def comparable(cells: pa.Table) -> pa.Table:
    """The rows by partition and offset, without what tells how they were stored."""
    columns = [name for name in cells.column_names if name != "ds"]
    sort = [("kafka_partition", "ascending"), ("kafka_offset", "ascending")]
    return cells.select(columns).sort_by(sort).combine_chunks().replace_schema_metadata()


def faults(place: Place, loaders: list[Loader]) -> None:
    """Shows how many rows each loader makes of topics with a fault."""
    print(head("topic", "messages of the window", *(loader.name for loader in loaders)))
    for fault in ["ahead", "late", "broken"]:
        small = topic.Topic(fault, SMALL_MESSAGES, fault)
        held = topic.fill(place.brokers, small, place.folder)
        print(row(fault, held.rows, *(outcome(loader, place, fault) for loader in loaders)), flush=True)
    print()


def outcome(loader: Loader, place: Place, name: str) -> str:
    """What a loader makes of a topic."""
    try:
        run(loader, place, name)
    except measure.Failed:
        return "fails"
    empty = loader.cells(name)["order_id"].null_count
    return f"{loader.rows(name)}" + (f", {empty} of them NULL" if empty else "")


def rounds(place: Place, readers: list[Reader], messages: int, count: int) -> None:
    """Runs all of them in turn on the large topic and prints what each took."""
    large = topic.Topic("large", messages)
    held = topic.fill(place.brokers, large, place.folder)
    print(f"The window holds {held.rows} messages, {held.payload_bytes / 1e9:.3f} GB.\n", flush=True)
    # For warmth: the log is in the system's memory then.
    run(CountBytes(place), place, large.name)
    taken: dict[str, list[measure.Measured]] = {reader.name: [] for reader in readers}
    for number in range(count):
        # Another one begins in each round.
        first = number % len(readers)
        for reader in readers[first:] + readers[:first]:
            measured = run(reader, place, large.name)
            rows = reader.rows(large.name)
            print(f"round {number + 1}: {reader.name}: {rows} rows, {measured}", flush=True)
            if rows != held.rows:
                raise SystemExit(f"{reader.name} has {rows} of {held.rows} rows")
            taken[reader.name].append(measured)
    print(table(taken, held))


def table(taken: dict[str, list[measure.Measured]], held: topic.Window) -> str:
    """Medians, and medians of the ratios within a round."""
    ours = taken[Tidegate.name]
    lines = [head("reader", "rows", "rows/s", "wall, s", "CPU s/GB", "peak, MiB", "wall ÷ ours", "CPU ÷ ours", "peak ÷ ours")]
    for name, theirs in taken.items():
        wall = median(one.wall_s for one in theirs)
        lines.append(
            row(
                name,
                f"all {held.rows}",
                f"{held.rows / wall:.0f}",
                f"{wall:.1f}",
                f"{median(one.cpu_s for one in theirs) / (held.payload_bytes / 1e9):.2f}",
                f"{median(one.peak_bytes for one in theirs) / 2**20:.0f}",
                f"{median(one.wall_s / our.wall_s for one, our in zip(theirs, ours)):.2f}",
                f"{median(one.cpu_s / our.cpu_s for one, our in zip(theirs, ours)):.2f}",
                f"{median(one.peak_bytes / our.peak_bytes for one, our in zip(theirs, ours)):.2f}",
            )
        )
    return "\n".join(lines)


def head(*names: str) -> str:
    """The head of a table."""
    return f"{row(*names)}\n|{'---|' * len(names)}"


def row(*cells: object) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
