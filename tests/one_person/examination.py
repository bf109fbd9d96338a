"""Compares the rows after concurrent bookings with the promises.

Nobody is in two places, sessions and reservations agree, nothing ended in a deadlock or another error, and
each refused start was taken by somebody while it was tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from booking_tasks.kit.database import transaction
from tests.accounts import as_superuser
from tests.invariants import of_rows

#: Remembers who was where, and from when until when the table had the row.
HISTORY = """
    CREATE TABLE occupied_history (
        reservation_id uuid, role text, person_id uuid, span tstzrange, since timestamptz, until timestamptz);
    CREATE INDEX ON occupied_history (reservation_id);
    CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO public.occupied_history
            VALUES (NEW.reservation_id, NEW.role, NEW.person_id, NEW.span, clock_timestamp(), NULL);
        ELSE
            UPDATE public.occupied_history SET until = clock_timestamp()
             WHERE reservation_id = OLD.reservation_id AND role = OLD.role AND until IS NULL;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER remember AFTER INSERT OR DELETE ON occupied_times FOR EACH ROW EXECUTE FUNCTION remember();
"""
#: Of sessions and of reservations, without the table that refuses it.
_OVERLAPS = """
    WITH spans AS (
        SELECT coalesce(f.scheduled_session_id, f.id) AS id, p.who, p.span
          FROM consultant_availability_slots f
         CROSS JOIN LATERAL (VALUES
             (f.consultant_user_id, tstzrange(f.start_time, f.end_time)),
             (f.requester_user_id, tstzrange(f.session_start_time, f.session_end_time))) p (who, span)
         WHERE f.status = 'booked' OR f.held_until > %(now)s
         UNION ALL
        SELECT s.id, p.who, tstzrange(s.scheduled_start_time, s.scheduled_end_time)
          FROM scheduled_sessions s
         CROSS JOIN LATERAL (VALUES (s.serving_user_id), (s.requester_user_id)) p (who)
         WHERE s.status NOT LIKE 'cancelled%%'
    )
    SELECT (SELECT count(*) FROM spans a JOIN spans b ON a.who = b.who AND a.id < b.id AND a.span && b.span)
         + (SELECT count(*) FROM consultant_availability_slots f WHERE consultant_user_id = requester_user_id)
"""
_MISMATCHES = """
    SELECT (SELECT count(*) FROM scheduled_sessions s
             WHERE (s.status LIKE 'cancelled%%') = EXISTS (
                       SELECT FROM consultant_availability_slots f
                        WHERE f.scheduled_session_id = s.id
                          AND (f.consultant_user_id, f.requester_user_id)
                            = (s.serving_user_id, s.requester_user_id)
                          AND (f.session_start_time, f.session_end_time)
                            = (s.scheduled_start_time, s.scheduled_end_time)))
         + (SELECT count(*) FROM consultant_availability_slots f
             WHERE f.status = 'booked' AND NOT EXISTS (
                       SELECT FROM scheduled_sessions s
                        WHERE s.id = f.scheduled_session_id AND s.status NOT LIKE 'cancelled%%'))
         + (SELECT count(*) FROM (
                SELECT f.id, p.role, p.who, p.span
                  FROM consultant_availability_slots f
                 CROSS JOIN LATERAL (VALUES
                     ('consultant', f.consultant_user_id, tstzrange(f.start_time, f.end_time)),
                     ('requester', f.requester_user_id, tstzrange(f.session_start_time, f.session_end_time))
                 ) p (role, who, span)
                 WHERE f.status IN ('held', 'booked')
                 UNION ALL
                SELECT f.id, 'kept', f.consultant_user_id, tstzrange(f.start_time, f.end_time)
                  FROM consultant_availability_slots f WHERE f.source = 'absence'
            ) f
            FULL JOIN occupied_times o ON (o.reservation_id, o.role, o.person_id, o.span)
                                        = (f.id, f.role, f.who, f.span)
             WHERE o.reservation_id IS NULL OR f.id IS NULL)
"""
_FALSE_REFUSALS = """
    SELECT count(*) FROM jsonb_to_recordset(%(refusals)s) r (
        people uuid[], start timestamptz, since timestamptz, until timestamptz
    )
     WHERE NOT EXISTS (
           SELECT FROM occupied_history h
            WHERE h.person_id = ANY (r.people)
              AND h.span && tstzrange(r.start, r.start + %(length)s)
              AND h.since <= r.until
              AND (h.until IS NULL OR h.until >= r.since - %(longest)s))
"""


class Refused(NamedTuple):
    """A start that was refused because it is taken: of these people, tried from since until until."""

    people: list[UUID]
    start: datetime
    since: datetime
    until: datetime


@dataclass
class Findings:
    """What one process saw. `errors` are the operations that did not end with an answer."""

    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    taken: list[Refused] = field(default_factory=list)
    longest: timedelta = timedelta()

    def add(self, other: Findings) -> None:
        self.done += other.done
        self.refused += other.refused
        self.errors += other.errors
        self.taken += other.taken
        self.longest = max(self.longest, other.longest)


@dataclass(frozen=True)
class Report:
    """All findings, and what is wrong with the rows: each number must be 0, each text empty."""

    findings: Findings
    overlaps: int
    mismatches: int
    deadlocks: int
    false_refusals: int
    contradictions: list[str]

    @property
    def faults(self) -> dict[str, Any]:
        """What is not as it must be."""
        found = {
            "overlaps": self.overlaps,
            "mismatches": self.mismatches,
            "deadlocks": self.deadlocks,
            "false refusals": self.false_refusals,
            "errors": dict(self.findings.errors),
            "contradictions": self.contradictions,
        }
        return {name: value for name, value in found.items() if value}


def examine(url: str, findings: Findings, now: datetime, length: timedelta) -> Report:
    """Compare the rows with the promises; `length` is the time that a start takes, buffers included."""
    refusals = [
        {
            "people": [str(who) for who in one.people],
            "start": one.start.isoformat(),
            "since": one.since.isoformat(),
            "until": one.until.isoformat(),
        }
        for one in findings.taken
    ]
    values = {"refusals": Jsonb(refusals), "length": length, "longest": findings.longest, "now": now}
    with psycopg.connect(as_superuser(url)) as superuser:
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        overlaps, mismatches, ended, false_refusals = (
            _number(superuser, query, values)
            for query in (_OVERLAPS, _MISMATCHES, deadlocks, _FALSE_REFUSALS)
        )
    with transaction() as db:
        return Report(findings, overlaps, mismatches, ended, false_refusals, of_rows(db))


def _number(connection: psycopg.Connection[Any], query: str, values: dict[str, Any]) -> int:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


def lines(report: Report) -> Iterator[str]:
    """The report as text."""
    total = sum(report.findings.done.values())
    yield f"{total} operations, the longest {report.findings.longest.total_seconds():.2f} s"
    for name, count in sorted((report.findings.done + report.findings.refused).items()):
        yield f"  {name}: {count}"
    numbers = ("overlaps", "mismatches", "deadlocks", "false_refusals")
    yield ", ".join(f"{name.replace('_', ' ')} {getattr(report, name)}" for name in numbers)
    yield f"errors {sum(report.findings.errors.values())}: {dict(report.findings.errors)}"
    yield f"contradictions: {report.contradictions}"
