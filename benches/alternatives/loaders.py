"""How each loader is run on a topic, and what it has written then."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.dataset
from odps import ODPS
from odps.tunnel import TableTunnel

from python_loader import SCHEMA
from servers import PROJECT
from topic import END_MS, START_MS

HERE = Path(__file__).parent
PARTITION = "20261122"
TYPES = {pa.int64(): "BIGINT", pa.string(): "STRING", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}

SPARK = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.log.level": "WARN",
}

# The window is the day before the scheduled time.
SCHEDULED = "2026-11-23T00:15"
JOB = """\
job: alternatives
time_zone: Asia/Shanghai
source:
  kafka: {{ brokers: ["{brokers}"], topic: {topic} }}
window: {{ start: "${{startTime}}", end: "${{endTime}}" }}
destination:
  maxcompute:
    endpoint: {endpoint}
    project: {project}
    access_id: bench
    access_secret: ${{env.ALTERNATIVES_SECRET}}
    table: {table}
    partition: {{ ds: "${{partition}}" }}
columns:
  order_id: order.id
  order_number: order.number
  order_status: order.status
  created_at: order.created_at
  total: order.total
  gift: order.gift
  user_id: user.id
  user_name: user.name
  city: user.address.city
  first_sku: items[0].sku
  payment_method: payment.method
  payment_time: payment.time
  message_key: __key__
  message_value: __value__
  kafka_partition: __partition__
  kafka_offset: __offset__
  kafka_timestamp: __timestamp__
  headers: __headers__
parameters:
  startTime: $[yyyymmdd-1]000000
  endTime: $[yyyymmdd]000000
  partition: $[yyyymmdd-1]
"""


@dataclass(frozen=True)
class Place:
    """Where everything is."""

    brokers: str
    endpoint: str
    # For what the loaders keep and write.
    folder: Path
    tidegate: Path
    spark_jars: Path

    def log(self, name: str) -> Path:
        """What the last run of a loader printed."""
        return self.folder / f"{name}.log"


class Reader(Protocol):
    """A program that reads the window of a topic."""

    name: str

    def command(self, topic: str) -> tuple[list[str], dict[str, str]]:
        """The command that does it, and more variables of its environment; what earlier runs left is cleared away."""

    def rows(self, topic: str) -> int:
        """How many rows, or messages, the last run made."""


class Loader(Reader, Protocol):
    """One that makes rows of it."""

    def cells(self, topic: str) -> pa.Table:
        """The rows of the last run."""


class IntoMaxCompute:
    """What both loaders into MaxCompute have: a table for each topic."""

    name: str

    def __init__(self, place: Place):
        self.place = place
        self.service = ODPS("bench", "bench", PROJECT, endpoint=place.endpoint)

    def table(self, topic: str) -> str:
        """The table of a topic, which is made where it is missing."""
        table = f"{self.name}_{topic}"
        columns = ", ".join(f"{field.name} {TYPES[field.type]}" for field in SCHEMA)
        self.service.create_table(table, (columns, "ds STRING"), if_not_exists=True)
        return table

    def rows(self, topic: str) -> int:
        return self._download(topic).count

    def cells(self, topic: str) -> pa.Table:
        session = self._download(topic)
        with session.open_arrow_reader(0, session.count) as reader:
            read = reader.read()
        return pa.Table.from_batches([read]) if isinstance(read, pa.RecordBatch) else read

    def _download(self, topic: str):
        return TableTunnel(self.service).create_download_session(self.table(topic), partition_spec=f"ds={PARTITION}")


class Tidegate(IntoMaxCompute):
    """tidegate, with the defaults of its job file and a new state folder for each run."""

    name = "tidegate"

    def command(self, topic: str) -> tuple[list[str], dict[str, str]]:
        place = self.place
        state, job = place.folder / "state", place.folder / f"{topic}.yaml"
        shutil.rmtree(state, ignore_errors=True)
        job.write_text(JOB.format(brokers=place.brokers, topic=topic, endpoint=place.endpoint, project=PROJECT, table=self.table(topic)))
        command = [str(place.tidegate), "run", str(job), "--at", SCHEDULED, "--state", str(state)]
        return command, {"ALTERNATIVES_SECRET": "bench"}


class Python(IntoMaxCompute):
    """The loader that is written by hand."""

    name = "python"

    def command(self, topic: str) -> tuple[list[str], dict[str, str]]:
        place = self.place
        table = ["--endpoint", place.endpoint, "--project", PROJECT, "--table", self.table(topic), "--partition", f"ds={PARTITION}"]
        return [sys.executable, str(HERE / "python_loader.py"), *window(place, topic), *table], {}


class Spark:
    """Spark, which writes Parquet files and nothing into MaxCompute."""

    name = "spark"

    def __init__(self, place: Place):
        self.place = place

    def command(self, topic: str) -> tuple[list[str], dict[str, str]]:
        shutil.rmtree(self._output(topic), ignore_errors=True)
        settings = {"spark.driver.extraClassPath": f"{self.place.spark_jars}/*", **SPARK}
        submit = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]"]
        submit += [argument for name, value in settings.items() for argument in ("--conf", f"{name}={value}")]
        arguments = [*window(self.place, topic), "--output", str(self._output(topic))]
        return [*submit, str(HERE / "spark_batch.py"), *arguments], {"PYSPARK_PYTHON": sys.executable}

    def rows(self, topic: str) -> int:
        return pa.dataset.dataset(self._output(topic)).count_rows()

    def cells(self, topic: str) -> pa.Table:
        return pa.dataset.dataset(self._output(topic)).to_table()

    def _output(self, topic: str) -> Path:
        return self.place.folder / f"spark-{topic}"


class CountBytes:
    """The floor: a consumer that loads nothing."""

    name = "count_bytes"

    def __init__(self, place: Place):
        self.place = place

    def command(self, topic: str) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, str(HERE / "count_bytes.py"), *window(self.place, topic)], {}

    def rows(self, topic: str) -> int:
        messages, _bytes = self.place.log(self.name).read_text().split()
        return int(messages)


def window(place: Place, topic: str) -> list[str]:
    """What every reader of the topic is told."""
    return ["--brokers", place.brokers, "--topic", topic, "--start-ms", str(START_MS), "--end-ms", str(END_MS)]
