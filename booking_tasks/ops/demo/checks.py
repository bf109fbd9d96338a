"""The demo's checks: what must be true after the scenario, read from rows, mails and ledgers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from itertools import combinations
from typing import Any, Self
from uuid import UUID

from icalendar import Calendar
from redis import Redis
from sqlalchemy import select

from booking_tasks.enums import JobState, SessionStatus, SlotStatus
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import (
    AvailabilitySlot,
    ConsultationRequest,
    DirectoryUser,
    Job,
    ScheduledSession,
)
from booking_tasks.ops.demo import people
from booking_tasks.ops.demo.scenario import Scenario
from booking_tasks.ops.mail_sink import calendar_of
from booking_tasks.outbox.job_args import JobType, NoticeType


@dataclass(frozen=True)
class Check:
    """The result of one check: the claim, whether it holds, and what was seen."""

    claim: str
    holds: bool
    seen: str


@dataclass(frozen=True)
class Invite:
    """One calendar message, as the program of its reader gets it."""

    recipient: str
    method: str
    uid: str
    sequence: int
    is_question: bool = False


@dataclass
class DemoResults:
    """Everything that the checks read, collected once after the scenario."""

    scenario: Scenario
    mails: list[EmailMessage]
    calls: list[dict[str, Any]]
    events: list[dict[str, Any]]
    requests: list[ConsultationRequest]
    sessions: list[ScheduledSession]
    reservations: list[AvailabilitySlot]
    jobs: list[Job]
    emails: dict[UUID, str]

    @classmethod
    def read(cls, scenario: Scenario) -> Self:
        """Collect the results of a scenario that has just run."""
        with transaction() as db:
            taken = AvailabilitySlot.status.in_(("held", "booked"))
            return cls(
                scenario=scenario,
                mails=scenario.local_stack.mail.mails(),
                calls=scenario.local_stack.platform.ledger(),
                events=published_events(),
                requests=list(db.execute(select(ConsultationRequest)).scalars()),
                sessions=list(db.execute(select(ScheduledSession)).scalars()),
                reservations=list(db.execute(select(AvailabilitySlot).where(taken)).scalars()),
                jobs=list(db.execute(select(Job)).scalars()),
                emails={user.user_id: user.email for user in db.execute(select(DirectoryUser)).scalars()},
            )

    @cached_property
    def invites(self) -> list[Invite]:
        """The calendar messages among the mails."""
        return [invite for mail in self.mails if (invite := _invite(mail)) is not None]

    def request(self, request_id: UUID) -> ConsultationRequest:
        """Return the row of a request."""
        return next(one for one in self.requests if one.id == request_id)

    def session(self, label: str) -> ScheduledSession:
        """Return the session of one of the scenario's requests."""
        request_id = self.scenario.requests[label]
        return next(one for one in self.sessions if one.consultation_request_id == request_id)

    def invites_of(self, session: ScheduledSession, method: str) -> list[Invite]:
        """Return the calendar messages of a session with one method."""
        return [one for one in self.invites if one.uid.startswith(str(session.id)) and one.method == method]

    def both(self, session: ScheduledSession) -> list[str]:
        """Return the addresses of both sides, sorted."""
        return sorted(self.emails[one] for one in (session.requester_user_id, session.consultant_user_id))

    def job_states(self, session: ScheduledSession, job_type: str) -> Counter[str]:
        """Count the final states of a session's jobs of one type."""
        return Counter(
            job.state for job in self.jobs if job.subject_id == session.id and job.job_type == job_type
        )


def published_events() -> list[dict[str, Any]]:
    """Return the events of the stream that other services read."""
    config = settings()
    with Redis.from_url(config.redis_url) as redis:
        entries: Any = redis.xrange(config.event_stream or "")
    return [json.loads(fields[b"event"]) for _, fields in entries]


def run_checks(scenario: Scenario) -> list[Check]:
    """Run every check."""
    results = DemoResults.read(scenario)
    return [check(results) for check in CHECKS]


def _invite(mail: EmailMessage) -> Invite | None:
    body = calendar_of(mail)
    if body is None:
        return None
    calendar = Calendar.from_ical(body)
    event = calendar.walk("VEVENT")[0]
    return Invite(
        str(mail["To"].addresses[0].addr_spec),
        str(calendar["METHOD"]),
        str(event["UID"]),
        int(str(event["SEQUENCE"])),
        is_question=str(event.get("STATUS")) == "TENTATIVE",
    )


def _one_of_three(results: DemoResults) -> Check:
    statuses = sorted(results.request(one).status for one in results.scenario.rivals)
    start = people.TUESDAY.replace(hour=13)
    booked = [
        one
        for one in results.reservations
        if one.status == SlotStatus.BOOKED and one.session_start_time == start
    ]
    holds = statuses == ["cancelled", "completed", "rejected"] and len(booked) == 1
    return Check(
        "of three at once for one slot exactly one got it", holds, f"{statuses}, {len(booked)} booking"
    )


def _no_overlap(results: DemoResults) -> Check:
    overlaps = sum(
        one.consultant_user_id == other.consultant_user_id
        and one.start_time < other.end_time
        and other.start_time < one.end_time
        for one, other in combinations(results.reservations, 2)
    )
    return Check(
        "no consultant's time was sold twice, buffers included", overlaps == 0, f"{overlaps} overlaps"
    )


def _third_try(results: DemoResults) -> Check:
    session = results.session("tutoring")
    statuses = [
        call["status"]
        for call in results.calls
        if str(session.id) in call["path"] and call["method"] == "PUT"
    ]
    keys = {
        call["idempotency_key"]
        for call in results.calls
        if str(session.id) in call["path"] and call["method"] == "PUT"
    }
    holds = statuses == [503, 503, 201] and len(keys) == 1 and bool(session.meeting_platform_join_url)
    return Check("the link came with the third try, under one key", holds, f"{statuses}, {len(keys)} key")


def _invited_once(results: DemoResults) -> Check:
    wrong = []
    for session in results.sessions:
        agreed = [one for one in results.invites_of(session, "REQUEST") if not one.is_question]
        lowest = min((one.sequence for one in agreed), default=0)
        first = [one.recipient for one in agreed if one.sequence == lowest]
        if sorted(first) != results.both(session):
            wrong.append(f"{session.id}: {first}")
    return Check(
        "every session invited both sides exactly once",
        not wrong,
        "; ".join(wrong) or f"{len(results.sessions)} sessions",
    )


def _nothing_twice(results: DemoResults) -> Check:
    ids = Counter(str(mail["Message-ID"]) for mail in results.mails)
    repeated = [one for one, count in ids.items() if count > 1]
    return Check(
        "no mail went out twice", not repeated, f"{len(results.mails)} mails, {len(repeated)} repeated"
    )


def _moved(results: DemoResults) -> Check:
    session = results.session("python")
    updates = [one for one in results.invites_of(session, "REQUEST") if one.sequence == 1]
    uids = {one.uid for one in results.invites_of(session, "REQUEST")}
    holds = sorted(one.recipient for one in updates) == results.both(session) and len(uids) == 1
    holds = holds and session.scheduled_start_time == people.TUESDAY.replace(hour=12)
    return Check(
        "the move reached both sides as an update of the same event", holds, f"SEQUENCE 1, {len(uids)} UID"
    )


def _cancelled(results: DemoResults) -> Check:
    session = results.session("cancelled")
    cancels = results.invites_of(session, "CANCEL")
    holds = sorted(one.recipient for one in cancels) == results.both(session)
    holds = (
        holds
        and {one.sequence for one in cancels} == {1}
        and session.status == SessionStatus.CANCELLED_BY_CONSULTANT
    )
    return Check("the cancellation left both calendars", holds, f"{len(cancels)} CANCEL, {session.status}")


def _no_reminder_after_cancel(results: DemoResults) -> Check:
    states = results.job_states(results.session("cancelled"), "send_reminder")
    return Check(
        "nobody was reminded of the cancelled session", set(states) == {"skipped"}, str(dict(states))
    )


def _reminded(results: DemoResults) -> Check:
    states = results.job_states(results.session("statistics"), "send_reminder")
    return Check(
        "both sides were reminded a day and an hour before", states == {"done": 4}, str(dict(states))
    )


def _verdicts(results: DemoResults) -> Check:
    expected = {
        "tutoring": "completed",
        "statistics": "completed",
        "review": "no_show_user",
        "python": "attendance_unknown",
    }
    seen = {label: results.session(label).status for label in expected}
    return Check("attended, absent and unknown were distinguished", seen == expected, str(seen))


def _killed(results: DemoResults) -> Check:
    session = results.session("statistics")
    puts = [call for call in results.calls if call["method"] == "PUT" and str(session.id) in call["path"]]
    rooms = {call["idempotency_key"] for call in puts}
    holds = len(puts) >= 2 and len(rooms) == 1 and len(results.invites_of(session, "REQUEST")) == 2
    return Check(
        "the killed worker's job was finished under its key", holds, f"{len(puts)} calls, {len(rooms)} key"
    )


def _repeatable(results: DemoResults) -> Check:
    first, second = results.scenario.repeated
    return Check(
        "the same message again got the same answer", first == second, f"{first.result}, {first.status}"
    )


def _confirmed(results: DemoResults) -> Check:
    request = results.request(results.scenario.requests["review"])
    first, second = results.scenario.confirmers
    holds = first != second and request.assigned_consultant_user_id == second
    return Check(
        "after a decline another consultant was asked, and took it", holds, f"{len({first, second})} asked"
    )


def _rejected_once(results: DemoResults) -> Check:
    request_id = results.scenario.requests["left waiting"]
    states = [
        job.state
        for job in results.jobs
        if job.subject_id == request_id and job.args.get("notice") == NoticeType.REQUEST_REJECTED
    ]
    return Check(
        "the learner whose request was rejected got one mail about it", states == ["done"], str(states)
    )


def _events_once(results: DemoResults) -> Check:
    ids = Counter(event["id"] for event in results.events)
    jobs = Counter(job.state for job in results.jobs if job.job_type == JobType.PUBLISH_EVENT)
    holds = set(ids.values()) == {1} and jobs == {"done": len(ids)}
    return Check("every event was published exactly once", holds, f"{len(ids)} events, jobs {dict(jobs)}")


def _own_zone(results: DemoResults) -> Check:
    mine = [mail for mail in results.mails if people.YUKI.email in str(mail["To"])]
    texts = [
        part.get_content() for mail in mine for part in mail.walk() if part.get_content_type() == "text/plain"
    ]
    shown = sum("Asia/Tokyo" in one for one in texts)
    return Check(
        "times are in the reader's zone, with its name",
        0 < shown == len(texts),
        f"{shown} of {len(texts)} mails",
    )


def _calm(results: DemoResults) -> Check:
    open_jobs = Counter(f"{job.job_type} {job.state}" for job in results.jobs if job.finished_at is None)
    failed = Counter(
        f"{job.job_type} {job.state}"
        for job in results.jobs
        if job.state in {JobState.DEAD, JobState.UNCERTAIN}
    )
    holds = not open_jobs and not failed
    return Check(
        "nothing is left to do, nothing failed for good",
        holds,
        f"open {dict(open_jobs)}, failed {dict(failed)}",
    )


CHECKS = (
    _one_of_three,
    _no_overlap,
    _third_try,
    _invited_once,
    _nothing_twice,
    _moved,
    _cancelled,
    _no_reminder_after_cancel,
    _reminded,
    _verdicts,
    _killed,
    _repeatable,
    _confirmed,
    _rejected_once,
    _events_once,
    _own_zone,
    _calm,
)


def invites_by_name(scenario: Scenario) -> dict[str, bytes]:
    """Return the bytes of every calendar message by file name."""
    files: dict[str, bytes] = {}
    for number, mail in enumerate(scenario.local_stack.mail.mails(), start=1):
        body, invite = calendar_of(mail), _invite(mail)
        if body is not None and invite is not None:
            files[
                f"{number:03}-{invite.method.lower()}-{UUID(invite.uid.partition('@')[0]).hex[-8:]}.ics"
            ] = body
    return files
