"""Kafka, and the MaxCompute-compatible server of tidegate, each in a process of its own on free loopback ports."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

PROJECT = "bench"
STARTING_SECONDS = 60

KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAIN://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAIN://127.0.0.1:{plain}
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
log.dirs={folder}/logs
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
# The messages' days lie before or after the clock: none is deleted for its age, none refused for it.
log.retention.ms=-1
log.message.timestamp.before.max.ms={any}
log.message.timestamp.after.max.ms={any}
"""


@contextmanager
def kafka(jars: Path, folder: Path) -> Iterator[str]:
    """Runs a broker whose logs stay in the folder, and gives its address."""
    folder.mkdir(parents=True, exist_ok=True)
    plain, controller = free_ports(2)
    properties = folder / "server.properties"
    properties.write_text(KAFKA.format(plain=plain, controller=controller, folder=folder, any=2**63 - 1))
    java = ["java", "-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-cp", f"{jars}/*"]
    if not (folder / "logs/meta.properties").exists():
        formatting = [*java, "kafka.tools.StorageTool", "format", "-c", str(properties), "--cluster-id=dGlkZWdhdGUtYmVuY2gtMQ"]
        subprocess.run(formatting, check=True, stdout=subprocess.DEVNULL)
    with running([*java, "kafka.Kafka", str(properties)], folder / "kafka.log"):
        brokers = f"127.0.0.1:{plain}"
        wait_for(brokers, folder / "kafka.log")
        yield brokers


def wait_for(brokers: str, log: Path) -> None:
    """Waits until the broker answers."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    until = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < until:
        try:
            if admin.list_topics(timeout=1).brokers:
                return
        except KafkaException:
            time.sleep(0.2)
    raise SystemExit(f"Kafka did not start in {STARTING_SECONDS} s; the end of {log}:\n{log.read_text()[-4000:]}")


@contextmanager
def maxcompute(tidegate: Path, folder: Path) -> Iterator[str]:
    """Runs a server with its data in the folder, and gives its endpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "maxcompute.log"
    command = [str(tidegate), "local", "maxcompute", "--data", str(folder / "data"), "--listen", "127.0.0.1:0", "--project", PROJECT]
    with running(command, log) as process:
        until = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < until and process.poll() is None:
            for line in log.read_text().splitlines():
                if line.startswith("MaxCompute endpoint"):
                    yield line.split()[-1]
                    return
            time.sleep(0.1)
        raise SystemExit(f"the MaxCompute-compatible server did not start:\n{log.read_text()[-4000:]}")


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a server until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on. All are held until all are known, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports
