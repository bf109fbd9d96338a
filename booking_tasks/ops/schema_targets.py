"""Which step of the schema is meant by `head`, `base`, `-1`, `+1`, a step or its beginning. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from booking_tasks.kit.errors import BookingTasksError

HEAD, BASE = "head", "base"
_RELATIVE = re.compile(r"[+-]\d{1,4}")


class SchemaError(BookingTasksError):
    """The database's schema does not fit, or could not be changed now; the message says what to do."""


def target_step(target: str, current: str | None, known: Sequence[str]) -> str | None:
    """Return the step that is meant, None for an empty database.

    `current` is the step that the database is at, `known` are the steps of this release, oldest first. Raises
    SchemaError.
    """
    if target == HEAD:
        return known[-1]
    if target == BASE:
        return None
    if _RELATIVE.fullmatch(target):
        return _relative(int(target), current, known)
    found = [step for step in known if step == target] or [step for step in known if step.startswith(target)]
    if len(found) != 1 or not target:
        raise SchemaError(
            f"{target!r} is no step of this release: write head, base, -1 or one of {', '.join(known)}"
        )
    return found[0]


def is_down(target: str | None, current: str | None, known: Sequence[str]) -> bool:
    """Whether the way from `current` to `target` goes down. Raises SchemaError for an unknown step."""
    return _position(target, known) < _position(current, known)


def _relative(steps: int, current: str | None, known: Sequence[str]) -> str | None:
    position = _position(current, known) + steps
    if not -1 <= position < len(known):
        raise SchemaError(
            f"{steps:+d} leads out of the steps of this release: the database is at {current or 'nothing'},"
            f" the steps are {', '.join(known)}"
        )
    return None if position < 0 else known[position]


def _position(step: str | None, known: Sequence[str]) -> int:
    if step is None:
        return -1
    if step not in known:
        raise SchemaError(
            f"the database is at {step}, a step of a newer release (this one has steps up to {known[-1]}):"
            " leave the schema as it is, this release works on it; only the newer release can go down"
        )
    return known.index(step)
