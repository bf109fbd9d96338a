"""Ticks of sweeps beside those of beat: after a step of the clock, nobody waits for beat's next one."""

from __future__ import annotations

import time
from collections.abc import Iterable

from celery import Celery

from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.kit.queues import declared_queues

#: The sweeps that do each part of the open work (the names of queries/open_work.sql).
_SWEEPS_OF = {
    "jobs": ("wake_due_jobs", "recover_jobs"),
    "messages": ("recover_inbox",),
    "requests": ("assign_waiting", "expire_requests"),
    "unanswered": ("expire_holds", "expire_requests"),
    "offers": ("lapse_offers",),
    "sessions": ("advance_sessions", "judge_sessions"),
}
#: Seconds between two ticks of the same sweep, and until a tick expires.
_PAUSE, _EXPIRY = 0.15, 3


class Ticks:
    """Sends ticks of the sweeps in the queue `sweep` through Redis, each at most a few times a second."""

    def __init__(self, broker_url: str) -> None:
        self._sent: dict[str, float] = {}
        self._app = Celery("ticks", set_as_current=False)
        self._app.conf.update(
            broker_url=broker_url,
            task_serializer="json",
            task_queues=declared_queues(broker_url),
            task_create_missing_queues=False,
            task_default_exchange="",
        )

    def send_for(self, open_work: Iterable[str]) -> None:
        """Send a tick of every sweep that does a part of this work."""
        self.send(name for part in open_work for name in _SWEEPS_OF[part])

    def send(self, sweeps: Iterable[str]) -> None:
        """Send a tick of each of these sweeps, unless its last one was sent a moment ago."""
        for name in dict.fromkeys(sweeps):
            if time.monotonic() - self._sent.get(name, 0.0) > _PAUSE:
                self._sent[name] = time.monotonic()
                self._app.send_task(TASK_PREFIX + name, queue="sweep", expires=_EXPIRY, ignore_result=True)

    def close(self) -> None:
        """Close the connections to the broker."""
        self._app.close()
