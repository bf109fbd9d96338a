"""The check of hours: how they were projected, horizons, and sessions that new time zones have uncovered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from booking_tasks.kit.settings import Settings
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.ops.findings import Finding, State


def hours(config: Settings, db: Any) -> Iterator[Finding]:
    """Check the windows of all consultants."""
    yield _projections(db)
    yield from _horizons(config, db)
    yield from _uncovered(db)


def _projections(db: Any) -> Finding:
    """Return with which releases of the time zones the consultants' windows were projected."""
    rows = db.execute(
        "SELECT tzdata_version, count(*) FROM availability_projections GROUP BY 1 ORDER BY 1 DESC"
    ).fetchall()
    made = ", ".join(f"{count} with {version}" for version, count in rows) or "none yet"
    seen = f"consultants' hours projected: {made}"
    if any(version < tzdata_version() for version, _ in rows):
        remedy = "start a beat and a worker for sweep; they project the old ones again"
        return Finding("hours", State.WARNING, seen, remedy)
    if any(version > tzdata_version() for version, _ in rows):
        return Finding(
            "hours", State.WARNING, seen, "upgrade this installation: others have newer time zones"
        )
    return Finding("hours", State.OK, seen)


def _uncovered(db: Any) -> Iterator[Finding]:
    """Report sessions ahead that a change of time zones has put outside of the hours."""
    [count] = db.execute(
        """
        SELECT count(DISTINCT s.id)
          FROM events e
          JOIN scheduled_sessions s
            ON s.id = e.scheduled_session_id AND s.revision = (e.after ->> 'revision')::integer
         WHERE e.type = 'session.uncovered' AND s.status = 'scheduled' AND s.scheduled_start_time > now()
        """
    ).fetchone()
    if count:
        seen = f"{count} sessions ahead are outside of the hours since a zone changed its rules"
        remedy = "list them by booking-tasks availability uncovered, and ask their participants"
        yield Finding("hours", State.WARNING, seen, remedy)


def _horizons(config: Settings, db: Any) -> Iterator[Finding]:
    """Report horizons for which no hours are known."""
    known = config.horizon // timedelta(days=1)
    longer = db.execute(
        """
        SELECT count(*), max(horizon_days)
          FROM (SELECT horizon_days FROM consultation_service_types WHERE is_active
                UNION ALL SELECT horizon_days FROM consultant_policies) horizons
         WHERE horizon_days > %s
        """,
        [known],
    ).fetchone()
    if longer[0]:
        seen = f"{longer[0]} horizons are longer than BOOKING_HORIZON ({known} days), up to {longer[1]} days"
        remedy = f"set BOOKING_HORIZON={longer[1]}d, or shorten them: later starts are refused"
        yield Finding("hours", State.WARNING, seen, remedy)
