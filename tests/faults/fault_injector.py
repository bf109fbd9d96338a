"""What goes wrong with processes: killed, frozen, thawed; always by id, never by name (Linux)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from booking_tasks.ops.servers import Server, wait_until


def family(pid: int) -> list[int]:
    """A process and everything that came from it, parents first."""
    parents: dict[int, list[int]] = {}
    for one in (int(folder.name) for folder in Path("/proc").glob("[0-9]*")):
        if (stat := _stat(one)) is not None:
            parents.setdefault(stat[1], []).append(one)
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


def children(pid: int) -> list[int]:
    """The processes that a process started itself."""
    return [one for one in family(pid)[1:] if (stat := _stat(one)) is not None and stat[1] == pid]


def _stat(pid: int) -> tuple[str, int] | None:
    """State and parent; they follow the command, which stands in parentheses and may hold spaces."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return state, int(parent)


def _alive(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def send(pids: list[int], number: signal.Signals) -> None:
    """A signal to each; one that is gone already is fine."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def crash(server: Server) -> None:
    """SIGKILL to a server and its children, as when the host dies; returns when all of them are gone."""
    process = running(server)
    everyone = family(process.pid)
    send(everyone, signal.SIGKILL)
    process.wait(10)
    wait_until(lambda: not any(map(_alive, everyone)), f"the end of {server.name}")


def end_at_once(server: Server) -> None:
    """PostgreSQL's immediate shutdown: no checkpoint, connections cut; recovery at the next start."""
    process = running(server)
    process.send_signal(signal.SIGQUIT)
    process.wait(20)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Neither dead nor alive: connections stay open, nothing answers. Thawed at the end."""
    send(family(pid), signal.SIGSTOP)
    try:
        yield
    finally:
        send(family(pid), signal.SIGCONT)


def running(server: Server) -> subprocess.Popen[bytes]:
    """A server's process."""
    if server.process is None:
        raise RuntimeError(f"{server.name} was never started")
    return server.process
