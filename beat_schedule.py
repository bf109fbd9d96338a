"""What runs when: data only.

Every entry is a sweep that finds its work in rows, so a tick may be lost, late or doubled; two beats
side by side do no harm. Entries are plain intervals in UTC and expire, so that an outage leaves no
endless backlog. Once-a-day work is a short tick over the ledger `schedule_runs`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from booking_tasks.kit.settings import Settings

#: Sweep -> how many sweep intervals (`BOOKING_SWEEP_INTERVAL`, default 10 s) lie between two ticks.
SWEEPS: dict[str, int] = {
    "wake_due_jobs": 1,  # every job that is due, however its doorbell was lost
    "recover_jobs": 1,  # leases of workers that vanished
    "advance_sessions": 1,  # start what begins
    "judge_sessions": 1,  # say who came, once the evidence is in
    "expire_holds": 1,  # tidy holds whose time is over (they no longer block anyway)
    "lapse_offers": 1,  # offered time that nobody answered for goes to the next
    "expire_requests": 1,  # confirmations and requests nobody answered in time
    "assign_waiting": 3,  # look again for requests that wait for a consultant
    "recover_inbox": 3,  # messages whose worker died before it answered
    "run_parked": 3,  # messages that an older release did not know
    "refresh_calendars": 3,  # outside calendars that are due for another look
    "credit_leaves": 6,  # whoever comes back from a leave is credited what the others got meanwhile
    "extend_availability": 6,  # once a day: windows for the new last day of the horizon
    "reconcile_meetings": 6,  # once a day: rooms without a session, sessions without a room
    "purge": 6,  # once a day: what is older than its retention
}


#: What waits for other people's servers is kept away from what must be quick.
QUEUES: dict[str, str] = {"refresh_calendars": "provision"}


def beat_schedule(config: Settings) -> dict[str, dict[str, Any]]:
    """Celery's `beat_schedule` for these settings."""
    entries: dict[str, dict[str, Any]] = {}
    life = config.wakeup_ttl / timedelta(seconds=1)
    for name, intervals in SWEEPS.items():
        every: timedelta = config.sweep_interval * intervals
        entries[name] = {
            "task": f"booking_tasks.v1.{name}",
            "schedule": every,
            "options": {"queue": QUEUES.get(name, "sweep"), "expires": life, "ignore_result": True},
        }
    return entries
