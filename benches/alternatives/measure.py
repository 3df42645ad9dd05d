"""Runs a program and says what it and all the processes that it starts took."""

import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.05
PR_SET_CHILD_SUBREAPER = 36
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Failed(SystemExit):
    """The program failed; the text says how."""


@dataclass
class Measured:
    """What one run took."""

    wall_s: float
    # User and system, of the process and of all those that were waited for below it.
    cpu_s: float
    # The highest sum of the resident memory of all its processes; pages that two of them share count twice.
    peak_bytes: int


def run(command: list[str], log: Path, env: dict[str, str] | None = None) -> Measured:
    """Runs the command until it and everything that it started has ended; what it prints goes into the file `log`."""
    # Processes whose parent ends before them become children of this one, so that their CPU time is known too.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    began = time.monotonic()
    with log.open("wb") as output:
        # In a session of its own, by which its processes are found.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **(env or {})}, start_new_session=True
        )
    cpu, peak, left = 0.0, 0, True
    try:
        while left:
            try:
                ended, status, usage = os.wait4(-process.pid, os.WNOHANG)
            except ChildProcessError:
                left = False
                continue
            if not ended:
                peak = max(peak, resident_bytes(process.pid))
                time.sleep(SAMPLE_SECONDS)
                continue
            cpu += usage.ru_utime + usage.ru_stime
            if ended == process.pid:
                process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        # It is deaf to the Ctrl-C that ends this program.
        if left:
            os.killpg(process.pid, signal.SIGKILL)
    wall = time.monotonic() - began
    if process.returncode != 0:
        raise Failed(f"{' '.join(command)}\nended with {process.returncode}; the end of {log}:\n{log.read_text()[-4000:]}")
    return Measured(wall, cpu, peak)


def resident_bytes(session: int) -> int:
    """The resident memory of all processes of a session."""
    memories: dict[str, int] = {}
    for folder in os.scandir("/proc"):
        if not folder.name.isdigit():
            continue
        try:
            text = Path(folder.path, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Behind the name, which may hold anything, are the 3rd field and those after it.
        fields = text.rpartition(")")[2].split()
        found, pages, stack = int(fields[6 - 3]), int(fields[24 - 3]), fields[28 - 3]
        if found == session:
            # A child on its way to another program has its parent's memory still, with the stack at the same place: it counts once.
            memories[stack] = max(memories.get(stack, 0), pages * PAGE_BYTES)
    return sum(memories.values())
