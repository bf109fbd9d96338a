"""One scenario on the shared stage: how its people act, and what can be read of it afterwards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from email.message import EmailMessage
from typing import Any, Literal
from uuid import UUID, uuid4

from icalendar import Calendar
from redis import Redis
from sqlalchemy import select

from booking_tasks.contracts import (
    CancelSession,
    Observation,
    RecordAttendance,
    SearchOutcome,
    SearchSlots,
    SetAvailability,
    SubmitRequest,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
    WeeklyHours,
)
from booking_tasks.enums import EvidenceType, Party
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import (
    AssignmentDecision,
    AvailabilitySlot,
    ConsultationRequest,
    Event,
    Job,
    ScheduledSession,
)
from booking_tasks.ops.local_stack import LocalStack
from booking_tasks.ops.mail_sink import calendar_of
from booking_tasks.ops.servers import wait_until
from booking_tasks.outbox.workflow import PUBLISHED

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)

#: Where other services listen (BOOKING_EVENT_STREAM's default).
STREAM = "booking:events"

Side = Literal["requester", "consultant"]


@dataclass(frozen=True)
class Person:
    """Someone of one scenario only; the name is found in nobody else's."""

    id: UUID
    name: str
    email: str


@dataclass(frozen=True)
class ReceivedMail:
    """A mail as its reader has it; the last four are None without a calendar part."""

    to: str
    subject: str
    text: str
    message_id: str
    method: str | None = None
    uid: str | None = None
    sequence: int | None = None
    start: datetime | None = None


@dataclass(frozen=True)
class Call:
    """One call that the meeting platform got."""

    method: str
    key: str | None
    status: int | None
    revision: int | None
    starts_at: datetime | None


class Scenario:
    """A day of its own on the stage's clock, with a skill that only its own consultants have."""

    def __init__(self, stage: LocalStack) -> None:
        self.stage = stage
        self.mark = uuid4().hex[:8]
        self.skill = f"skill {self.mark}"
        now = stage.now()
        eight = now.replace(hour=8, minute=0, second=0, microsecond=0)
        #: 08:00 UTC of the day on which it begins.
        self.morning = eight if eight > now else eight + DAY
        stage.advance(self.morning)

    # -- acting, by public messages only ---------------------------------------------------------------

    def send(self, contract: Any, actor: str = "scenario", **values: Any) -> Any:
        """Send a command as `actor` until its outcome is there."""
        return self.stage.send(contract(message_id=uuid7(), actor=actor, **values))

    def offer(self, **values: Any) -> UUID:
        """A kind of consultation of 60 minutes."""
        service_type_id = uuid7()
        defaults: dict[str, Any] = {"name": f"Tutoring {self.mark}", "default_duration_minutes": 60}
        self.send(UpsertServiceType, service_type_id=service_type_id, **(defaults | values))
        return service_type_id

    def person(self, name: str, zone: str = "UTC", language: str = "en") -> Person:
        """Someone whom the directory knows."""
        made = Person(uuid7(), f"{name} {self.mark}", f"{name.lower()}.{self.mark}@example.org")
        self.send(
            UpsertUser, user_id=made.id, name=made.name, email=made.email, time_zone=zone, language=language
        )
        return made

    def consultant(self, name: str, zone: str = "UTC", language: str = "en") -> Person:
        """Someone who is there at every hour of every day."""
        made = self.person(name, zone, language)
        self.send(UpsertConsultant, consultant_user_id=made.id, time_zone=zone, specializations=(self.skill,))
        hours = tuple(WeeklyHours(weekday=day, start=time(0), end=time(0)) for day in range(1, 8))
        self.send(SetAvailability, consultant_user_id=made.id, weekly=hours)
        return made

    def submit(
        self, who: Person, service_type_id: UUID, start: datetime, end: datetime | None = None, **more: Any
    ) -> UUID:
        """Ask for an hour from `start` (or until `end`) and let everything follow; the request's id."""
        request_id = uuid7()
        outcome = self.send(
            SubmitRequest,
            actor=str(who.id),
            request_id=request_id,
            requester_user_id=who.id,
            service_type_id=service_type_id,
            preferred_start=start,
            preferred_end=end or start + HOUR,
            required_specializations=(self.skill,),
            **more,
        )
        assert outcome.result == "done"
        assert outcome.status in {"scheduled", "pending_confirmation", "pending_assignment"}
        self.stage.settle()
        return request_id

    def search(self, service_type_id: UUID, start: datetime, end: datetime | None = None) -> SearchOutcome:
        """What can be booked from `start` for an hour (or until `end`)."""
        return self.stage.send(
            SearchSlots(
                service_type_id=service_type_id,
                start=start,
                end=end or start + HOUR,
                required_specializations=(self.skill,),
            )
        )

    def free(self, service_type_id: UUID, start: datetime, consultant: Person) -> bool:
        """Whether the consultant's hour from `start` is offered."""
        found = self.search(service_type_id, start).starts
        return (consultant.id, start, start + HOUR) in {
            (one.consultant_user_id, one.start, one.end) for one in found
        }

    def observe(self, session: ScheduledSession, *seen: tuple[str, Side | None, datetime]) -> None:
        """Record what was observed of a session's room."""
        observations = tuple(
            Observation(
                evidence_type=EvidenceType(evidence_type),
                party=None if party is None else Party(party),
                observed_at=at,
                external_id=f"{evidence_type} {party}",
            )
            for evidence_type, party, at in seen
        )
        self.send(
            RecordAttendance,
            actor="rooms",
            session_id=session.id,
            source="rooms",
            observations=observations,
        )

    def cancel_session(self, session: ScheduledSession, consultant: Person) -> None:
        """Let a consultant call a session off, and everything follow."""
        self.send(
            CancelSession,
            actor=str(consultant.id),
            session_id=session.id,
            cancelled_by="consultant",
            reason="a cold",
        )
        self.stage.settle()

    def until_scheduled(self, request_id: UUID) -> None:
        """Wait for the sweep that looks again for who waits, and let everything follow."""
        wait_until(lambda: self.request(request_id).status == "scheduled", "another look for who waits")
        self.stage.settle()

    # -- reading ---------------------------------------------------------------------------------------

    def request(self, request_id: UUID) -> ConsultationRequest:
        """The request as it stands."""
        with transaction() as db:
            return db.get_one(ConsultationRequest, request_id)

    def session(self, request_id: UUID) -> ScheduledSession:
        """The session of a request as it stands."""
        with transaction() as db:
            return db.execute(
                select(ScheduledSession).where(ScheduledSession.consultation_request_id == request_id)
            ).scalar_one()

    def history(self, request_id: UUID) -> list[Event]:
        """What happened to a request and its session, in order."""
        with transaction() as db:
            return list(
                db.execute(
                    select(Event).where(Event.consultation_request_id == request_id).order_by(Event.position)
                ).scalars()
            )

    def decisions(self, request_id: UUID) -> list[AssignmentDecision]:
        """Every look for a consultant, in order."""
        with transaction() as db:
            return list(
                db.execute(
                    select(AssignmentDecision)
                    .where(AssignmentDecision.consultation_request_id == request_id)
                    .order_by(AssignmentDecision.id)
                ).scalars()
            )

    def facts(self, consultant: Person) -> list[tuple[str, datetime]]:
        """What of a consultant's time is taken: status and start of each fact."""
        with transaction() as db:
            rows = db.execute(
                select(AvailabilitySlot.status, AvailabilitySlot.session_start_time)
                .where(
                    AvailabilitySlot.consultant_user_id == consultant.id,
                    AvailabilitySlot.status.in_(("held", "booked")),
                )
                .order_by(AvailabilitySlot.session_start_time)
            )
            return [(status, start) for status, start in rows if start is not None]

    def jobs(self, subject_id: UUID, job_type: str) -> list[Job]:
        """A subject's jobs of one kind, in order of their due time."""
        with transaction() as db:
            return list(
                db.execute(
                    select(Job)
                    .where(Job.subject_id == subject_id, Job.job_type == job_type)
                    .order_by(Job.due_at, Job.args["revision"].as_integer(), Job.args["recipient"].astext)
                ).scalars()
            )

    def job_states(self, subject_id: UUID, job_type: str) -> Counter[tuple[int, str]]:
        """How often each (revision, state) occurs among a subject's jobs of one kind."""
        return Counter((job.args["revision"], job.state) for job in self.jobs(subject_id, job_type))

    def letters(self, *people: Person) -> list[ReceivedMail]:
        """The mails that people got, in order of arrival."""
        addresses = {one.email for one in people}
        letters = [_received_mail(mail) for mail in self.stage.mail.mails()]
        return [one for one in letters if one.to in addresses]

    def calls(self, session_id: UUID, method: str) -> list[Call]:
        """What the platform was asked about a session's room, in order."""
        return [
            _call(call)
            for call in self.stage.platform.ledger()
            if call["method"] == method and str(session_id) in call["path"]
        ]

    def room(self, session_id: UUID) -> dict[str, Any] | None:
        """The session's room on the platform, while it has one."""
        return self.stage.platform.rooms().get(session_id)

    def published(self, request_id: UUID) -> list[dict[str, Any]]:
        """What other services heard of a request and its session, in the order of the history."""
        with Redis.from_url(self.stage.environment["REDIS_URL"]) as redis:
            entries: Any = redis.xrange(STREAM)
        heard = [json.loads(fields[b"event"]) for _, fields in entries]
        mine = [event for event in heard if event["data"]["request_id"] == str(request_id)]
        return sorted(mine, key=lambda event: event["data"]["position"])

    # -- what is true at the end of every scenario ------------------------------------------------------

    def assert_notified_once(self, request_id: UUID, people: Sequence[Person]) -> None:
        """Each published event went out once, no mail twice, and no job of it is open or has failed."""
        history = self.history(request_id)
        heard = [(event["id"], event["type"]) for event in self.published(request_id)]
        assert heard == [(str(one.id), f"booking.{one.type}.v1") for one in history if one.type in PUBLISHED]
        repeated = Counter(mail.message_id for mail in self.letters(*people))
        assert set(repeated.values()) <= {1}
        subjects = {request_id, *(one.scheduled_session_id for one in history)}
        with transaction() as db:
            states = db.execute(select(Job.state).where(Job.subject_id.in_(subjects - {None}))).scalars()
            assert set(states) <= {"done", "skipped"}


#: What the service does of itself; whether a wake-up or a sweep came first is chance.
SERVICE = "the service"


def summary(history: Sequence[Event]) -> list[tuple[str, str, str | None]]:
    """A history as what happened, on whose word, and why."""
    return [
        (event.type, SERVICE if event.actor in {"jobs", "sweep"} else event.actor, event.reason)
        for event in history
    ]


def _received_mail(mail: EmailMessage) -> ReceivedMail:
    plain = next(part for part in mail.walk() if part.get_content_type() == "text/plain")
    body = calendar_of(mail)
    values: dict[str, Any] = {}
    if body is not None:
        calendar = Calendar.from_ical(body)
        (event,) = calendar.events
        values = {
            "method": str(calendar["METHOD"]),
            "uid": str(event["UID"]),
            "sequence": int(str(event["SEQUENCE"])),
            "start": event.DTSTART,
        }
    return ReceivedMail(
        to=str(mail["To"].addresses[0].addr_spec),
        subject=str(mail["Subject"]),
        text=plain.get_content(),
        message_id=str(mail["Message-ID"]),
        **values,
    )


def _call(call: dict[str, Any]) -> Call:
    body = json.loads(call["body"]) if call["body"] else {}
    starts_at = body.get("starts_at")
    return Call(
        method=call["method"],
        key=call["idempotency_key"],
        status=call["status"],
        revision=body.get("revision"),
        starts_at=datetime.fromisoformat(starts_at) if starts_at else None,
    )
