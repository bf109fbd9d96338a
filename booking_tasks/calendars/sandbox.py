"""Reading a calendar in a process of its own, with little time and memory.

A few bytes of recurrence can ask for billions of instants, here or inside a time zone; and what one
file says a zone is must not outlive it. So the reader ends with its file, one way or the other.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from booking_tasks.calendars.rules import Busy, Piece, Reading

_HARMLESS = ("PATH", "PYTHON", "LD_", "LANG", "LC_", "SSL_CERT_", "VIRTUAL_ENV")
_TOO_MUCH = "reading it takes too much time or memory, as with a rule that recurs every second"


class NotReadError(Exception):
    """A calendar could not be read; the message says why and quotes nothing of it."""


@dataclass(frozen=True)
class Limits:
    """What reading one calendar may take: seconds of CPU, seconds by the wall, bytes of memory."""

    cpu: int = 10
    wall: float = 20.0
    memory: int = 1 << 30


def busy(content: bytes, reading: Reading, limits: Limits = Limits()) -> Busy:
    """The busy time of a calendar as `reading.busy` finds it. Raises NotReadError."""
    order = json.dumps(_plain(reading)).encode() + b"\n" + content
    answer = json.loads(run(__name__, order, limits))
    if "error" in answer:
        raise NotReadError(answer["error"])
    return _busy(answer)


def run(module: str, order: bytes, limits: Limits) -> bytes:
    """What a module of ours makes of an order, in a process of its own. Raises NotReadError.

    One that takes too much is ended, by us or, when its worker dies, by the kernel. What it says beside
    its answer is dropped: libraries quote what they read.
    """
    try:
        ran = subprocess.run(  # noqa: S603 - our own module, nothing of anybody else in the arguments
            [sys.executable, "-P", "-m", module, str(limits.cpu), str(limits.memory)],
            input=order,
            capture_output=True,
            timeout=limits.wall,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise NotReadError(_TOO_MUCH) from None
    if ran.returncode < 0:  # ended by a signal: ours, or the kernel's at a limit
        raise NotReadError(_TOO_MUCH)
    if ran.returncode > 0:
        raise NotReadError(f"reading it failed unexpectedly ({_last_word(ran.stderr)})")
    return ran.stdout


def _environment() -> dict[str, str]:
    """What a reader may know of its surroundings: how to run, and whose certificates to trust."""
    return {name: value for name, value in os.environ.items() if name.startswith(_HARMLESS)}


def _last_word(said: bytes) -> str:
    """The name of the error that ended a Python process, without its text, which may quote what was read."""
    last = said.decode("utf-8", "replace").strip().rpartition("\n")[2].partition(":")[0]
    return last if last.replace(".", "").isidentifier() else "no error named"


def hold_to(cpu: str, memory: str) -> None:
    """Let this process have no more than that, in seconds and bytes."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu)))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _plain(reading: Reading) -> dict[str, Any]:
    return vars(reading) | {"start": reading.start.timestamp(), "end": reading.end.timestamp()}


def _reading(plain: dict[str, Any]) -> Reading:
    stretch = {name: _instant(plain[name]) for name in ("start", "end")}
    return Reading(**plain | stretch | {"addresses": tuple(plain["addresses"])})


def _busy(answer: dict[str, Any]) -> Busy:
    return Busy(
        tuple(Piece(_instant(start), _instant(end)) for start, end in answer["pieces"]),
        tuple((UUID(id_), Piece(_instant(start), _instant(end))) for id_, start, end in answer["ours"]),
        answer["unreadable"],
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _answer(order: bytes) -> dict[str, Any]:
    from booking_tasks.calendars import reading  # noqa: PLC0415 - only the reader pays for the library

    plain, _, content = order.partition(b"\n")
    try:
        found = reading.busy(content, _reading(json.loads(plain)))
    except reading.UnreadableError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": _TOO_MUCH}
    return {
        "pieces": [[one.start.timestamp(), one.end.timestamp()] for one in found.pieces],
        "ours": [[str(id_), one.start.timestamp(), one.end.timestamp()] for id_, one in found.ours],
        "unreadable": found.unreadable,
    }


def main(*limits: str) -> None:
    """The reader: an order on standard input, its answer on standard output."""
    hold_to(*limits)
    json.dump(_answer(sys.stdin.buffer.read()), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
