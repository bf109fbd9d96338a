"""Reading a reply in a process of its own, with little time and memory."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any, get_args

from booking_tasks.calendars.sandbox import SandboxError, SandboxLimits, limit_resources, run_module
from booking_tasks.enums import RefusalCode
from booking_tasks.replies.rules import Rejected, Reply, Unusable

_LIMITS = SandboxLimits(cpu=3, wall=10.0, memory=512 << 20)

_CODES: dict[str, Unusable] = {code: code for code in get_args(Unusable)}


def read(calendar: str, limits: SandboxLimits = _LIMITS) -> Reply | Rejected:
    """What `reading.read` makes of a calendar text; one that takes too much is unreadable."""
    try:
        answer: dict[str, Any] = json.loads(run_module(__name__, calendar.encode("utf-8", "replace"), limits))
    except SandboxError as error:
        return Rejected(RefusalCode.UNREADABLE, str(error))
    if "code" in answer:
        return Rejected(_CODES[answer["code"]], answer["why"])
    answered_at = answer["answered_at"]
    return Reply(
        **answer
        | {
            "addresses": tuple(answer["addresses"]),
            "answered_at": None if answered_at is None else datetime.fromisoformat(answered_at),
        }
    )


def main(*limits: str) -> None:
    """The reader: a calendar text on standard input, what it says on standard output."""
    limit_resources(*limits)
    from booking_tasks.replies import reading  # noqa: PLC0415 - only the reader pays for the library

    json.dump(vars(reading.read(sys.stdin.buffer.read())), sys.stdout, default=datetime.isoformat)


if __name__ == "__main__":
    main(*sys.argv[1:])
