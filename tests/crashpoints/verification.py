"""Verifies the end of a run: the invariants, and a summary that is compared with the undisturbed run."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from booking_tasks.context import Policies
from booking_tasks.models import (
    AbsencePlanStep,
    ConsultationRequest,
    Event,
    Job,
    ScheduledSession,
    TimeOffer,
)
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import JOB_TYPES, OnUnknownResult
from tests.crashpoints.people import CONSULTANTS, HORIZON, REQUESTERS, SERVICES, fixed_id
from tests.event_replay import of_history
from tests.invariants import of_letters, of_rooms, of_rows, of_stream, still_open

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LINK = re.compile(r"http://127\.0\.0\.1:\d+/join/\S+")
_POLICIES = Policies(horizon=HORIZON)
_DOMAIN = "booking.example.org"


@dataclass(frozen=True)
class Outside:
    """What the outside world has received in a run."""

    mails: tuple[bytes, ...]
    rooms: dict[UUID, dict[str, Any]]
    calls: list[dict[str, Any]]
    published: tuple[dict[str, Any], ...]


@dataclass
class Found:
    """The differences between a run and the undisturbed one."""

    wrong: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)


def examined(db: Session, outside: Outside) -> list[str]:
    """Every violated invariant after a run, each as a sentence."""
    now = db.execute(text("SELECT instant FROM stepped_clock")).scalar_one()
    ours = set(db.execute(select(ScheduledSession.id)).scalars())
    rooms = {one: str(room["room_id"]) for one, room in outside.rooms.items() if one in ours}
    mails = [(str(_parsed(mail)["Message-ID"]), mail) for mail in outside.mails]
    return [
        *of_rows(db),
        *still_open(db, now, timedelta(minutes=15).total_seconds()),
        *of_history(db, _POLICIES),
        *of_letters(db, mails, _DOMAIN),
        *of_rooms(db, rooms, _made_twice(outside.calls)),
        *of_stream(db, [UUID(one["id"]) for one in outside.published]),
    ]


def _made_twice(calls: Iterable[dict[str, Any]]) -> list[UUID]:
    """The sessions of all rooms created, except rooms that the platform lost before."""
    made: list[UUID] = []
    for call in calls:
        if call["method"] == "PUT" and call["status"] == 201:
            made.append(UUID(call["path"].rpartition("/")[2]))
        if call["method"] == "DELETE" and call["idempotency_key"] == "lost":
            made.remove(UUID(call["path"].rpartition("/")[2]))
    return made


def _parsed(mail: bytes) -> EmailMessage:
    return email.message_from_bytes(mail, EmailMessage, policy=email.policy.default)


#: Each part of the summary as rows; random ids are replaced by names afterwards.
_SUMMARY_QUERIES = {
    "requests": """
        SELECT id, status, status_reason, assigned_consultant_user_id, excluded_consultant_user_ids,
               deadline_at, scheduled_session_id FROM consultation_requests""",
    "sessions": """
        SELECT id, requester_user_id, consultant_user_id, scheduled_start_time, scheduled_end_time, status,
               status_reason, outcome_notes, billed_amount, billed_currency, revision, requester_attendance,
               consultant_attendance, judged_at, meeting_platform_join_url FROM scheduled_sessions""",
    "times": """
        SELECT consultant_user_id, start_time, end_time, status, source, consultation_request_id,
               scheduled_session_id, held_until FROM consultant_availability_slots""",
    "decisions": """
        SELECT consultation_request_id, decided_at, consultant_user_id, start_time, reason
          FROM assignment_decisions""",
    "offers": """
        SELECT consultation_request_id, consultant_user_id, start_time, end_time, state, offered_at,
               offered_until, ended_at, hold_token FROM time_offers""",
    "steps": """
        SELECT plan_id, scheduled_session_id, position, action, reason, consultant_user_id, start_time, state,
               answer_by FROM absence_plan_steps""",
    "evidence": """
        SELECT scheduled_session_id, evidence_type, party, observed_at, source, external_id
          FROM attendance_evidence""",
    "leaves": "SELECT id, consultant_user_id, start_local, end_local, reason FROM consultant_leaves",
    "credits": """
        SELECT consultation_service_type_id, consultant_user_id, credit_type, amount, credited_at,
               consultation_request_id, cause_id, reason FROM assignment_credits""",
    "calendars": """
        SELECT id, good_at, tried_at, read_until, alerted_at, failures, unreadable, last_error, etag
          FROM calendar_feeds""",
    "messages": "SELECT message_id, task, state, outcome FROM inbox",
    "dead letters": "SELECT task, reason FROM dead_letters",
    "runs": "SELECT schedule, due_day FROM schedule_runs",
}


def summary(db: Session, outside: Outside) -> dict[str, Any]:
    """The end of a run in a form that two runs share: names instead of ids, order where order matters."""
    names = _Names(db)
    result: dict[str, Any] = {
        part: sorted(names.to_text(tuple(row)) for row in db.execute(text(query)))
        for part, query in _SUMMARY_QUERIES.items()
    }
    events = db.execute(select(Event).order_by(Event.position)).scalars()
    result["events"] = sorted(
        names.to_text((names.of[one.id], one.occurred_at, one.reason, one.before, one.after))
        for one in events
    )
    jobs = db.execute(select(Job)).scalars().all()
    # A recovering worker may record freed time once more; a record without anything to offer has no effect.
    result["jobs"] = {names.to_text((job.key,)): job.state for job in jobs if job.job_type != "offer_time"}
    letters = Counter(
        names.to_text((mail["To"], mail["Subject"], names.job_key(jobs, str(mail["Message-ID"]))))
        for mail in map(_parsed, outside.mails)
    )
    result["mails"] = sorted(letters)
    result["repeated"] = sum(letters.values()) - len(letters)
    result["rooms"] = sorted(names.of[one] for one in outside.rooms if one in names.of)
    result["published"] = sorted(names.of.get(UUID(one["id"]), one["id"]) for one in outside.published)
    return result


class _Names:
    """Names for the random ids of one run."""

    def __init__(self, db: Session) -> None:
        self.of: dict[UUID, str] = {fixed_id(one): one for one in (*CONSULTANTS, *REQUESTERS, *SERVICES)}
        for request in db.execute(select(ConsultationRequest)).scalars():
            if request.series_id is not None:
                self.of[request.id] = f"request of {request.series_id} for {request.preferred_start_time}"
            if request.hold_token is not None:
                self.of[request.hold_token] = f"token of {request.id}"
        sessions = db.execute(select(ScheduledSession.id, ScheduledSession.consultation_request_id))
        self.of |= {one: f"session of {self.of.get(request_id, request_id)}" for one, request_id in sessions}
        count: Counter[tuple[UUID | None, str]] = Counter()
        for one in db.execute(select(Event).order_by(Event.position)).scalars():
            about = (one.consultation_request_id, one.type)
            count[about] += 1
            request_id = one.consultation_request_id
            about_whom = "nobody" if request_id is None else self.of.get(request_id, str(request_id))
            self.of[one.id] = f"{one.type} {count[about]} of {about_whom}"
        for step in db.execute(select(AbsencePlanStep)).scalars():
            self.of[step.id] = f"step of {self.of[step.scheduled_session_id]}"
        for offer in db.execute(select(TimeOffer)).scalars():
            self.of[offer.hold_token] = f"token of {self.of[offer.id]}"

    def to_text(self, row: tuple[Any, ...]) -> str:
        """A row as text; links and rooms that another system named are replaced by placeholders."""
        result = _LINK.sub("<link>", "; ".join(str(part) for part in row))
        result = _UUID.sub(lambda found: self.of.get(UUID(found[0]), found[0]), result)
        return re.sub(r"'meeting_platform_session_id': '[^']*'", "'room': '<room>'", result)

    def job_key(self, jobs: Iterable[Job], name: str) -> str:
        """The key of the job that sent a mail."""
        from booking_tasks.mail.message import message_id

        keys = [job.key for job in jobs if message_id(job.key, _DOMAIN) == name]
        return keys[0] if keys else "no job"


def differences(expected: dict[str, Any], found: dict[str, Any]) -> Found:
    """All differences; jobs whose unknown result a person decides, and their mails, are not wrong."""
    result = Found()
    for part in expected.keys() - {"jobs", "mails", "repeated"}:
        missing = _without(expected[part], found[part])
        more = _without(found[part], expected[part])
        result.wrong += [f"{part}: missing {one}" for one in missing]
        result.wrong += [f"{part}: unexpected {one}" for one in more]
    for key in sorted(expected["jobs"].keys() | found["jobs"].keys()):
        expected_state, state = expected["jobs"].get(key), found["jobs"].get(key)
        if expected_state != state:
            left_to_a_person = (
                JOB_TYPES[JobType(key.partition(":")[0])].on_unknown_result != OnUnknownResult.REPEAT
            )
            if (expected_state, state) == ("done", "uncertain") and left_to_a_person:
                result.uncertain.append(key)
            else:
                result.wrong.append(f"job {key} is {state}, undisturbed it is {expected_state}")
    for mail in set(expected["mails"]) ^ set(found["mails"]):
        if not any(key in mail for key in result.uncertain):
            result.wrong.append(f"mails differ: {mail}")
    repeated = found["repeated"] - expected["repeated"]
    if len(result.uncertain) + repeated > 1:
        result.wrong.append(f"one death, yet {result.uncertain} uncertain and {repeated} repeated")
    return result


def _without(some: list[str], others: list[str]) -> list[str]:
    return sorted((Counter(some) - Counter(others)).elements())
