"""The schedule of beat: data only.

Every entry is a sweep that finds its work in rows, so that a tick may be lost, late or doubled, and several
beats may run side by side. Entries are fixed intervals in UTC, and they expire, so that an outage leaves no
backlog. Daily work is a frequent tick that the ledger `schedule_runs` reduces to once a day.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from booking_tasks.kit.settings import Settings

#: The number of sweep intervals (`BOOKING_SWEEP_INTERVAL`, default 10 s) between two ticks of each sweep.
SWEEPS: dict[str, int] = {
    "wake_due_jobs": 1,  # every job that is due and whose wake-up was lost
    "recover_jobs": 1,  # jobs whose worker died during its lease
    "advance_sessions": 1,  # sessions that begin
    "judge_sessions": 1,  # sessions that have ended: who attended
    "expire_holds": 1,  # holds that have expired (they no longer block in any case)
    "lapse_offers": 1,  # offers that nobody answered: the time goes to the next request
    "expire_requests": 1,  # requests and confirmations whose deadline has passed
    "assign_waiting": 3,  # requests that wait for a consultant
    "recover_inbox": 3,  # messages whose worker died before it answered
    "run_parked": 3,  # messages whose task an older release did not have
    "report_missing_links": 3,  # sessions that begin soon and have no meeting link
    "refresh_calendars": 3,  # outside calendars that are due to be read
    "credit_leaves": 6,  # consultants back from leave get the average credit of that time
    "extend_availability": 6,  # once a day: windows for the new last day of the horizon
    "reconcile_meetings": 6,  # once a day: rooms without a session, sessions without a room
    "purge": 6,  # once a day: what is older than its retention
}


#: Sweeps that wait for outside servers have another queue than the fast ones.
QUEUES: dict[str, str] = {"refresh_calendars": "provision"}


def beat_schedule(config: Settings) -> dict[str, dict[str, Any]]:
    """Return Celery's `beat_schedule` for these settings."""
    entries: dict[str, dict[str, Any]] = {}
    ttl = config.wakeup_ttl / timedelta(seconds=1)
    for name, intervals in SWEEPS.items():
        every: timedelta = config.sweep_interval * intervals
        entries[name] = {
            "task": f"booking_tasks.v1.{name}",
            "schedule": every,
            "options": {"queue": QUEUES.get(name, "sweep"), "expires": ttl, "ignore_result": True},
        }
    return entries
