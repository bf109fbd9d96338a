"""Print docs/states.md: the state machines as mermaid diagrams (`python -m booking_tasks.ops.states`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from booking_tasks.states import STATE_MACHINES, StateMachine

_HEAD = """# States

Every status and state, and the steps between them. An arrow names the event that records the step, or what
causes it. An arrow that begins at a dot shows the states that a new row may have.

This file is written from `booking_tasks/states.py` by `make states`; a test compares the two. One function
changes the status of a request (`requests.service.transition`) and one that of a session
(`sessions.service.transition`). A row of the slot ledger keeps its status until it is deleted: a hold that is
confirmed is deleted, and the booking is a new row. The database refuses every other step of requests and
sessions (table `allowed_steps`), whoever writes."""


def document() -> str:
    """Return the text of docs/states.md."""
    return "\n".join([_HEAD, *(line for machine in STATE_MACHINES for line in _section(machine))]) + "\n"


def _section(machine: StateMachine) -> Iterator[str]:
    yield from (
        "",
        f"## {machine.title}",
        "",
        f"Column `{machine.column}`.",
        "",
        "```mermaid",
        "stateDiagram-v2",
    )
    yield from (f"    [*] --> {state}" for state in machine.initial)
    for before, nexts in machine.steps.items():
        yield from (f"    {before} --> {after}: {cause}" for after, cause in nexts.items())
        if not nexts:
            yield f"    {before} --> [*]"
    yield "```"


if __name__ == "__main__":
    sys.stdout.write(document())
