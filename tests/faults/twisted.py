"""The service's app in a process with something wrong about it: `celery -A tests.faults.twisted worker`.

`TWIST_RINGS`: `lost` swallows every ring but the sweep's own, `doubled` sends each twice.
`TWIST_POISON`: a text; the process dies by SIGKILL at the first statement that has it as a parameter,
once the statement's SQL begins with `TWIST_POISON_AT`.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from celery import current_task
from sqlalchemy import Engine, event

from booking_tasks.celery import app

_send_task = app.send_task
_RINGS = os.environ.get("TWIST_RINGS")
_POISON = os.environ.get("TWIST_POISON", "")
_POISON_AT = os.environ.get("TWIST_POISON_AT", "")


def _twisted(name: str, *args: Any, **options: Any) -> Any:
    by_sweep = current_task and current_task.name.endswith(".ring_for_due")
    if _RINGS == "doubled":
        _send_task(name, *args, **options)
    elif not by_sweep:
        return None
    return _send_task(name, *args, **options)


if _RINGS:
    app.send_task = _twisted


def _die(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
    if statement.startswith(_POISON_AT) and _POISON in str(parameters):
        os.kill(os.getpid(), signal.SIGKILL)


if _POISON:
    event.listen(Engine, "before_cursor_execute", _die)
