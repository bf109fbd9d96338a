"""Workers and beats that start quickly: forked from a process that has imported the libraries already.

Importing is most of what a start costs, and the tests start hundreds. What runs is the command itself,
`booking-tasks worker` and its like, in a session, folder and environment of its own; settings are read and
the app is made after the fork. Whoever names a program, or anything that Python reads as it starts, gets a
program of its own (tests/processes, `make demo`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

from booking_tasks.ops import service_processes
from booking_tasks.ops.servers import wait_until

_context = get_context("forkserver")
_TAIL = 2000

#: The log of every process that was started here, in order.
logs: dict[Path, None] = {}


#: multiprocessing asks after every child whenever it starts one: two at once would read an exit code twice.
_lock = threading.Lock()


class PreforkedProcess:
    """A forked process, as `service_processes.RunningProcess` requires it."""

    def __init__(self, process: BaseProcess) -> None:
        with _lock:
            process.start()
        assert process.pid is not None
        self._process, self.pid = process, process.pid

    def leads_a_group(self) -> bool:
        with suppress(ProcessLookupError):
            return os.getpgid(self.pid) == self.pid
        return False

    def poll(self) -> int | None:
        with _lock:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if timeout is not None and end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.01)
        return code

    def terminate(self) -> None:
        with _lock:
            self._process.terminate()


def launch(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> service_processes.RunningProcess:
    """Start a command of ours; where Python itself is to be set up differently, as a program of its own."""
    logs[log] = None
    if any(name.startswith("PYTHON") and os.environ.get(name) != environment[name] for name in environment):
        return service_processes.start_command(arguments, folder, environment, log)
    _context.set_forkserver_preload(["tests.preforked_imports"])
    process = _context.Process(
        target=_become, args=(list(arguments), str(folder), dict(environment), str(log)), daemon=True
    )
    log.touch()
    running = PreforkedProcess(process)
    wait_until(lambda: running.poll() is not None or running.leads_a_group(), "a group of its own")
    return running


def log_tails(since: float) -> list[tuple[str, str]]:
    """The name and the end of each log that was written to since then (seconds since the epoch)."""
    written = [log for log in logs if log.exists() and log.stat().st_mtime >= since]
    return [(log.name, log.read_text(errors="replace")[-_TAIL:]) for log in written]


def _become(arguments: list[str], folder: str, environment: dict[str, str], log: str) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # as the environment has it
    from booking_tasks.ops.cli import main

    sys.argv = ["booking-tasks", *arguments]
    main()
