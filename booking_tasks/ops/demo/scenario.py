"""The scenario: what happens on the two days, through the public tasks only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select

from booking_tasks.contracts import (
    CancelRequest,
    CancelSession,
    ConfirmRequest,
    DeclineRequest,
    Observation,
    RecordAttendance,
    RecordBilling,
    RecordOutcome,
    RescheduleSession,
    SearchSlots,
    SetAvailability,
    SubmitRequest,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
    WeeklyHours,
)
from booking_tasks.enums import EvidenceType, Party, RequestStatus
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.ops.demo import people
from booking_tasks.ops.demo.people import DemoPerson
from booking_tasks.ops.local_stack import LocalStack, LocalStackError
from booking_tasks.ops.servers import wait_until

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
Report = Callable[[datetime, str, str], None]


@dataclass
class Scenario:
    """Runs the two days and keeps the ids that the checks need."""

    local_stack: LocalStack
    report: Report
    requests: dict[str, UUID] = field(default_factory=dict)
    repeated: list[Any] = field(default_factory=list)
    confirmers: list[UUID] = field(default_factory=list)
    rivals: list[UUID] = field(default_factory=list)

    def run(self) -> None:
        """Run every step in order."""
        for step in (
            self.load_catalogue,
            self.three_request_one_slot,
            self.a_worker_is_killed,
            self.a_session_moves,
            self.a_consultant_declines,
            self.a_consultant_cancels,
            self.reminders_are_sent,
            self.four_sessions_take_place,
            self.notes_and_a_bill_are_recorded,
        ):
            step()

    # -- the steps ------------------------------------------------------------------------------------

    def load_catalogue(self) -> None:
        """Load service types, consultants with their hours, and people."""
        for service_type_id, name, extra in (
            (people.TUTORING, "Tutoring", {"default_duration_minutes": 60, "buffer_after_minutes": 10}),
            (people.REVIEW, "Thesis review", {"default_duration_minutes": 45, "requires_confirmation": True}),
        ):
            self._send(UpsertServiceType, service_type_id=service_type_id, name=name, **extra)
        for person in (*people.CONSULTANTS, *people.LEARNERS):
            self._send(
                UpsertUser,
                user_id=person.id,
                name=person.name,
                email=person.email,
                time_zone=person.zone,
                language=person.language,
            )
        hours = tuple(WeeklyHours(weekday=day, start=people.OPENS, end=people.CLOSES) for day in range(1, 6))
        for person in people.CONSULTANTS:
            self._send(
                UpsertConsultant,
                consultant_user_id=person.id,
                time_zone=person.zone,
                specializations=person.skills,
            )
            outcome = self._send(SetAvailability, consultant_user_id=person.id, weekly=hours)
            self.report_line(
                "hours", f"{person.name}: 09:00-17:00 {person.zone}, {outcome.windows_added} windows ahead"
            )

    def three_request_one_slot(self) -> None:
        """Three learners request one slot at once; the platform fails twice before it makes the room."""
        start = people.TUESDAY + 13 * HOUR
        found = self.local_stack.send(
            SearchSlots(
                service_type_id=people.TUTORING,
                start=start,
                end=start + HOUR,
                required_specializations=("Analysis",),
            )
        )
        self.report_line(
            "search", f"{len(found.starts)} starts of Dr Weber between 13:00 and 14:00 UTC on Tuesday"
        )
        # Only PUT fails, because the daily reconciliation calls the platform too.
        self.local_stack.platform.control(fail_next=2, fail_method="PUT", status=503)
        messages = [
            self.request_message(person, start, HOUR, "linear algebra")
            for person in (people.MIRA, people.BEN, people.CHLOE)
        ]
        self.local_stack.send_at_once(messages)
        self.rivals = [message.request_id for message in messages]
        self.local_stack.settle()
        winner = next(one for one in self.rivals if self.request(one).status == RequestStatus.SCHEDULED)
        self.requests["tutoring"] = winner
        name = _name(self.request(winner).requester_user_id)
        self.report_line(
            "rivals",
            f"three requests for Tuesday 14:00 Berlin: {name} has it, the database refused the others",
        )
        calls = [
            str(call["status"]) for call in self.local_stack.platform.ledger() if call["method"] == "PUT"
        ]
        self.report_line("meeting", f"the platform answered {', '.join(calls)}; the link is there")
        loser = next(one for one in self.rivals if one != winner)
        self._send(CancelRequest, request_id=loser, reason="found another way")
        self.requests["withdrawn"] = loser
        self.requests["left waiting"] = next(one for one in self.rivals if one not in {winner, loser})
        self.report_line("withdrawn", "one of the others withdraws, the last one waits")

    def a_worker_is_killed(self) -> None:
        """Kill a worker while it calls the platform, and send the same message twice."""
        self.local_stack.advance(people.MONDAY + HOUR)
        self.local_stack.platform.control(delay_seconds=60)
        start = people.TUESDAY + 15 * HOUR
        message = self.request_message(people.TOM, start, HOUR, "statistics")
        request_id = self.submit("statistics", message)
        self.repeated = [self.local_stack.send(message), self.local_stack.send(message)]
        wait_until(lambda: self._platform_was_called(request_id), "the call to the meeting platform", 20)
        effects = self.local_stack.service.processes[1]
        effects.kill()
        self.report_line("SIGKILL", f"worker {effects.pid} died in the middle of making Tom's meeting")
        self.local_stack.platform.control(delay_seconds=0)
        self.local_stack.service.worker("effects-2", ("provision", "notify"))
        self.local_stack.settle()
        self.report_line(
            "resumed", "another worker repeated the call under the same key: one room, one invite each"
        )

    def a_session_moves(self) -> None:
        """Book a session, then move it by an hour."""
        self.local_stack.advance(people.MONDAY + 2 * HOUR)
        start = people.TUESDAY + 11 * HOUR
        request_id = self.submit("python", self.request_message(people.BEN, start, HOUR, "python"))
        self.local_stack.settle()
        session = self.session(request_id)
        outcome = self._send(
            RescheduleSession, session_id=session.id, new_start=start + HOUR, reason="a train"
        )
        self.local_stack.settle()
        self.report_line(
            "moved",
            f"Ben's session moved to {outcome.start:%H:%M} UTC; both got update no. {outcome.revision}",
        )

    def a_consultant_declines(self) -> None:
        """Request a service that consultants confirm: the first declines, the second accepts."""
        self.local_stack.advance(people.MONDAY + 3 * HOUR)
        message = self.request_message(
            people.YUKI, people.TUESDAY, 24 * HOUR, "academic writing", people.REVIEW
        )
        request_id = self.submit("review", message)
        self.local_stack.settle()
        for answer in (DeclineRequest, ConfirmRequest):
            confirmer = self.request(request_id).assigned_consultant_user_id
            if confirmer is None:
                raise LocalStackError("nobody was asked to confirm the thesis review")
            self.confirmers.append(confirmer)
            self._send(answer, request_id=request_id, consultant_user_id=confirmer)
            self.local_stack.settle()
            self.report_line(
                "answer", f"{_name(confirmer)} {'declines' if answer is DeclineRequest else 'accepts'}"
            )

    def a_consultant_cancels(self) -> None:
        """Book a session, then cancel it in the name of its consultant."""
        self.local_stack.advance(people.MONDAY + 4 * HOUR)
        message = self.request_message(people.CHLOE, people.TUESDAY + 9 * HOUR, HOUR, "analysis")
        request_id = self.submit("cancelled", message)
        self.local_stack.settle()
        session = self.session(request_id)
        self._send(CancelSession, session_id=session.id, cancelled_by="consultant", reason="ill")
        self.local_stack.settle()
        self.report_line(
            "cancelled", "Dr Weber is ill: Chloe's session left both calendars, the time is free"
        )

    def reminders_are_sent(self) -> None:
        """Advance the clock, so that the reminders of a day before are sent."""
        self.local_stack.advance(people.TUESDAY + 10 * HOUR)
        self.report_line(
            "reminders",
            f"{len(self.local_stack.mail.mails())} mails so far, each in its reader's zone and language",
        )

    def four_sessions_take_place(self) -> None:
        """Run four sessions: two are attended, one lacks its learner, one has no evidence."""
        review = self.session(self.requests["review"])
        python = self.session(self.requests["python"])
        tutoring = self.session(self.requests["tutoring"])
        statistics = self.session(self.requests["statistics"])
        visits = [
            (review, ("consultant",)),
            (tutoring, ("consultant", "requester")),
            (statistics, ("requester", "consultant")),
        ]
        for session, present in sorted(visits, key=lambda visit: visit[0].scheduled_start_time):
            self.local_stack.advance(session.scheduled_start_time + MINUTE)
            self._record_presence(session, present)
        self.local_stack.advance(statistics.scheduled_end_time + HOUR)
        for session in (review, python, tutoring, statistics):
            judged = self.session(session.consultation_request_id)
            pair = f"{_name(session.requester_user_id)} with {_name(session.consultant_user_id)}"
            self.report_line("verdict", f"{pair}: {judged.status}")

    def notes_and_a_bill_are_recorded(self) -> None:
        """Record notes and a bill, and advance to the next day, when nothing is left to do."""
        session = self.session(self.requests["tutoring"])
        self._send(RecordOutcome, session_id=session.id, notes="Eigenvalues understood; next: Jordan form.")
        self._send(RecordBilling, session_id=session.id, currency="EUR", billed_amount=Decimal("45.00"))
        self.local_stack.advance(people.WEDNESDAY)
        self.local_stack.wait_for_new_day()
        self.report_line("end", "Wednesday 00:00 UTC: nothing is left to do")

    # -- messages and rows ----------------------------------------------------------------------------

    @staticmethod
    def request_message(
        person: DemoPerson,
        start: datetime,
        span: timedelta,
        skill: str,
        service_type_id: UUID = people.TUTORING,
    ) -> SubmitRequest:
        """Return the message of a request for a window."""
        return SubmitRequest(
            message_id=uuid7(),
            actor=str(person.id),
            request_id=uuid7(),
            requester_user_id=person.id,
            service_type_id=service_type_id,
            preferred_start=start,
            preferred_end=start + span,
            required_specializations=(skill,),
            details=f"{person.name} asks about {skill}",
        )

    def submit(self, label: str, message: SubmitRequest) -> UUID:
        """Submit a request and return its id, which the checks find under `label`."""
        outcome = self.local_stack.send(message)
        if outcome.result != "done":
            raise LocalStackError(f"{label}: {outcome}")
        self.requests[label] = message.request_id
        skill = message.required_specializations[0]
        self.report_line(
            "request",
            f"{_name(message.requester_user_id)} asks for {skill}, {message.preferred_start:%a %H:%M} UTC",
        )
        return message.request_id

    def report_line(self, topic: str, line: str) -> None:
        """Report one line with the time of the stepped clock."""
        self.report(self.local_stack.now(), topic, line)

    def request(self, request_id: UUID) -> ConsultationRequest:
        """Return the row of a request."""
        with transaction() as db:
            return db.get_one(ConsultationRequest, request_id)

    def session(self, request_id: UUID) -> ScheduledSession:
        """Return the session of a request. Raises LocalStackError when it has none."""
        with transaction() as db:
            found = db.execute(
                select(ScheduledSession).where(ScheduledSession.consultation_request_id == request_id)
            ).scalar_one_or_none()
        if found is None:
            raise LocalStackError(
                f"request {request_id} has no session: {self.request(request_id).status_reason}"
            )
        return found

    def _send(self, contract: Any, **values: Any) -> Any:
        outcome = self.local_stack.send(contract(message_id=uuid7(), actor="demo", **values))
        if outcome.result not in {"done", "already_done"}:
            raise LocalStackError(f"{contract.task} was refused: {outcome}")
        return outcome

    def _record_presence(self, session: ScheduledSession, present: tuple[str, ...]) -> None:
        """Send the evidence of who is in the room."""
        observations = [
            Observation(
                evidence_type=EvidenceType.ROOM_OPENED,
                observed_at=session.scheduled_start_time,
                external_id="opened",
            )
        ]
        for party in present:
            for evidence_type, at in (
                (EvidenceType.JOINED, session.scheduled_start_time),
                (EvidenceType.LEFT, session.scheduled_end_time),
            ):
                observations.append(
                    Observation(
                        evidence_type=evidence_type,
                        party=Party(party),
                        observed_at=at,
                        external_id=f"{party} {evidence_type}",
                    )
                )
        self._send(
            RecordAttendance, session_id=session.id, source="demo room", observations=tuple(observations)
        )

    def _platform_was_called(self, request_id: UUID) -> bool:
        with transaction() as db:
            session_id = db.execute(
                select(ScheduledSession.id).where(ScheduledSession.consultation_request_id == request_id)
            ).scalar_one_or_none()
        return session_id is not None and any(
            call["method"] == "PUT" and str(session_id) in call["path"]
            for call in self.local_stack.platform.ledger()
        )


def _name(user_id: UUID) -> str:
    names = {person.id: person.name for person in (*people.CONSULTANTS, *people.LEARNERS)}
    return names[user_id]
