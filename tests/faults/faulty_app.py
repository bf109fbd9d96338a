"""The service's app in a process with something wrong about it: `celery -A tests.faults.faulty_app worker`.

`FAULTY_WAKEUPS`: `lost` swallows every wake-up but the sweep's own, `doubled` sends each twice.
`FAULTY_POISON`: a text; the process dies by SIGKILL at the first statement that has it as a parameter,
once the statement's SQL begins with `FAULTY_POISON_AT`. Another signal in `FAULTY_POISON_BY` does other harm:
SIGSTOP makes it a task that never returns.
`FAULTY_HASTE`: a number; a task's time limit is over so many times sooner.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from celery import current_task
from sqlalchemy import Engine, event

from booking_tasks.celery import app

_send_task = app.send_task
_WAKEUPS = os.environ.get("FAULTY_WAKEUPS")
_POISON = os.environ.get("FAULTY_POISON", "")
_POISON_AT = os.environ.get("FAULTY_POISON_AT", "")
_POISON_BY = signal.Signals[os.environ.get("FAULTY_POISON_BY", "SIGKILL")]
_HASTE = os.environ.get("FAULTY_HASTE")


def _faulty_send(name: str, *args: Any, **options: Any) -> Any:
    by_sweep = current_task and current_task.name.endswith(".wake_due_jobs")
    if _WAKEUPS == "doubled":
        _send_task(name, *args, **options)
    elif not by_sweep:
        return None
    return _send_task(name, *args, **options)


if _WAKEUPS:
    app.send_task = _faulty_send


def _harm(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
    if statement.startswith(_POISON_AT) and _POISON in str(parameters):
        os.kill(os.getpid(), _POISON_BY)


if _POISON:
    event.listen(Engine, "before_cursor_execute", _harm)

if _HASTE:
    app.conf.task_time_limit /= float(_HASTE)
