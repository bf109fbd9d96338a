"""Reading a calendar in a separate process with limited time and memory.

A few bytes of recurrence can expand to billions of instants, in an event or in a time zone; and a time zone
that one file declares must not be used for the next. So each process reads one file and ends.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from booking_tasks.calendars.rules import BusyInterval, BusyTime, ReadOptions

_PASSED_ON = ("PATH", "PYTHON", "LD_", "LANG", "LC_", "SSL_CERT_", "VIRTUAL_ENV")
_TOO_MUCH = "reading it takes too much time or memory, as with a rule that recurs every second"
_COUNTS = ("unreadable", "missing_time", "superseded", "ambiguous")


class SandboxError(Exception):
    """A calendar could not be read; the message says why and quotes nothing of it."""


class SandboxLimitError(SandboxError):
    """A process was ended because it exceeded its limits."""


@dataclass(frozen=True)
class SandboxLimits:
    """The limits of one process: seconds of CPU time, seconds of real time, bytes of memory."""

    cpu: int = 10
    wall: float = 20.0
    memory: int = 1 << 30


def read_busy_time(
    content: bytes,
    options: ReadOptions,
    limits: SandboxLimits = SandboxLimits(),
    charset: str | None = None,
) -> BusyTime:
    """Read a calendar by `reading.busy_time` in a separate process. Raises SandboxError."""
    arguments = json.dumps(_plain(options) | {"charset": charset}).encode() + b"\n" + content
    try:
        result = json.loads(run_module(__name__, arguments, limits))
    except SandboxLimitError as error:
        raise SandboxError(f"parsing was stopped: {error}") from None
    if "error" in result:
        raise SandboxError(result["error"])
    return _busy_time(result)


def run_module(module: str, arguments: bytes, limits: SandboxLimits) -> bytes:
    """Run a module of this package in a separate process; return its output. Raises SandboxError.

    A process that exceeds its limits is ended: by the time-out here, or by the kernel if the worker dies.
    What it writes to standard error is dropped, because libraries quote what they read.
    """
    try:
        ran = subprocess.run(  # noqa: S603 - a module of this package; no argument comes from outside
            [sys.executable, "-P", "-m", module, str(limits.cpu), str(limits.memory)],
            input=arguments,
            capture_output=True,
            timeout=limits.wall,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise SandboxLimitError(_TOO_MUCH) from None
    if ran.returncode < 0:  # ended by a signal, as the kernel does at a limit
        raise SandboxLimitError(_TOO_MUCH)
    if ran.returncode > 0:
        raise SandboxError(f"reading it failed unexpectedly ({_error_name(ran.stderr)})")
    return ran.stdout


def _environment() -> dict[str, str]:
    """The environment variables that the process gets: how to run, and which certificates to trust."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}


def _error_name(error_output: bytes) -> str:
    """The name of the exception that ended a Python process, without its text: that may quote content."""
    last = error_output.decode("utf-8", "replace").strip().rpartition("\n")[2].partition(":")[0]
    return last if last.replace(".", "").isidentifier() else "no exception named"


def limit_resources(cpu: str, memory: str) -> None:
    """Limit this process to so many seconds of CPU time and so many bytes of memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu)))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _plain(options: ReadOptions) -> dict[str, Any]:
    travel = [(first.isoformat(), last.isoformat(), zone) for first, last, zone in options.travel]
    span = {"start": options.start.timestamp(), "end": options.end.timestamp()}
    return vars(options) | span | {"travel": travel}


def _options(plain: dict[str, Any]) -> ReadOptions:
    span = {name: _instant(plain[name]) for name in ("start", "end")}
    travel = tuple(
        (date.fromisoformat(first), date.fromisoformat(last), zone) for first, last, zone in plain["travel"]
    )
    return ReadOptions(**plain | span | {"addresses": tuple(plain["addresses"]), "travel": travel})


def _busy_time(result: dict[str, Any]) -> BusyTime:
    return BusyTime(
        tuple(BusyInterval(_instant(start), _instant(end)) for start, end in result["intervals"]),
        tuple(
            (UUID(id_), BusyInterval(_instant(start), _instant(end)))
            for id_, start, end in result["own_sessions"]
        ),
        **{name: result[name] for name in _COUNTS},
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _read(arguments: bytes) -> dict[str, Any]:
    from booking_tasks.calendars import reading  # noqa: PLC0415 - the library is loaded in this process only

    plain, _, content = arguments.partition(b"\n")
    try:
        options = json.loads(plain)
        charset = options.pop("charset")
        found = reading.busy_time(content, _options(options), charset)
    except reading.UnreadableError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": f"parsing was stopped: {_TOO_MUCH}"}
    return {
        "intervals": [[one.start.timestamp(), one.end.timestamp()] for one in found.intervals],
        "own_sessions": [
            [str(id_), one.start.timestamp(), one.end.timestamp()] for id_, one in found.own_sessions
        ],
        **{name: getattr(found, name) for name in _COUNTS},
    }


def main(*limits: str) -> None:
    """Read the arguments from standard input, and write its result to standard output."""
    limit_resources(*limits)
    json.dump(_read(sys.stdin.buffer.read()), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
