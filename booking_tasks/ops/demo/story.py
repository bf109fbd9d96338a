"""The story: what happens on the two days, through the public tasks only."""

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
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.ops.demo import cast
from booking_tasks.ops.demo.cast import Person
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.stage import Stage, StageError

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
Tell = Callable[[datetime, str, str], None]


@dataclass
class Story:
    """Plays the day and remembers the requests that the checks ask about."""

    stage: Stage
    tell: Tell
    requests: dict[str, UUID] = field(default_factory=dict)
    repeated: list[Any] = field(default_factory=list)
    asked: list[UUID] = field(default_factory=list)
    rivals: list[UUID] = field(default_factory=list)

    def play(self) -> None:
        """Every scene in order."""
        for scene in (
            self.load_catalogue,
            self.three_want_one_slot,
            self.a_worker_is_killed,
            self.a_session_moves,
            self.a_consultant_declines,
            self.a_consultant_cancels,
            self.the_night,
            self.tuesday,
            self.afterwards,
        ):
            scene()

    # -- the scenes ------------------------------------------------------------------------------------

    def load_catalogue(self) -> None:
        """Service types, consultants with their hours, and people."""
        for service_type_id, name, extra in (
            (cast.TUTORING, "Tutoring", {"default_duration_minutes": 60, "buffer_after_minutes": 10}),
            (cast.REVIEW, "Thesis review", {"default_duration_minutes": 45, "requires_confirmation": True}),
        ):
            self._send(UpsertServiceType, service_type_id=service_type_id, name=name, **extra)
        for person in (*cast.CONSULTANTS, *cast.LEARNERS):
            self._send(
                UpsertUser,
                user_id=person.id,
                name=person.name,
                email=person.email,
                time_zone=person.zone,
                language=person.language,
            )
        hours = tuple(WeeklyHours(weekday=day, start=cast.OPENS, end=cast.CLOSES) for day in range(1, 6))
        for person in cast.CONSULTANTS:
            self._send(
                UpsertConsultant,
                consultant_user_id=person.id,
                time_zone=person.zone,
                specializations=person.skills,
            )
            outcome = self._send(SetAvailability, consultant_user_id=person.id, weekly=hours)
            self.say(
                "hours", f"{person.name}: 09:00-17:00 {person.zone}, {outcome.windows_added} windows ahead"
            )

    def three_want_one_slot(self) -> None:
        """Three learners ask for one slot at once; the platform fails twice before it makes the room."""
        start = cast.TUESDAY + 13 * HOUR
        found = self.stage.send(
            SearchSlots(
                service_type_id=cast.TUTORING,
                start=start,
                end=start + HOUR,
                required_specializations=("Analysis",),
            )
        )
        self.say("search", f"{len(found.starts)} starts of Dr Weber between 13:00 and 14:00 UTC on Tuesday")
        # Only the making of rooms is to fail: the day's reconciliation calls the platform too.
        self.stage.platform.control(fail_next=2, fail_method="PUT", status=503)
        wishes = [
            self.wish(person, start, HOUR, "linear algebra") for person in (cast.MIRA, cast.BEN, cast.CHLOE)
        ]
        self.stage.send_at_once(wishes)
        self.rivals = [wish.request_id for wish in wishes]
        self.stage.settle()
        winner = next(one for one in self.rivals if self.request(one).status == "scheduled")
        self.requests["tutoring"] = winner
        name = _name(self.request(winner).requester_user_id)
        self.say(
            "rivals", f"three asked for Tuesday 14:00 Berlin: {name} has it, the database refused the others"
        )
        calls = [str(call["status"]) for call in self.stage.platform.ledger() if call["method"] == "PUT"]
        self.say("meeting", f"the platform answered {', '.join(calls)}; the link is there")
        loser = next(one for one in self.rivals if one != winner)
        self._send(CancelRequest, request_id=loser, reason="found another way")
        self.requests["withdrawn"] = loser
        self.requests["left waiting"] = next(one for one in self.rivals if one not in {winner, loser})
        self.say("withdrawn", "one of the others withdraws, the last one waits")

    def a_worker_is_killed(self) -> None:
        """SIGKILL while the platform is being called; the same message is also sent twice."""
        self.stage.advance(cast.MONDAY + HOUR)
        self.stage.platform.control(delay_seconds=60)
        start = cast.TUESDAY + 15 * HOUR
        wish = self.wish(cast.TOM, start, HOUR, "statistics")
        request_id = self.ask("statistics", wish)
        self.repeated = [self.stage.send(wish), self.stage.send(wish)]
        wait_until(lambda: self._platform_was_called(request_id), "the call to the meeting platform", 20)
        effects = self.stage.stack.processes[1]
        effects.kill()
        self.say("SIGKILL", f"worker {effects.pid} died in the middle of making Tom's meeting")
        self.stage.platform.control(delay_seconds=0)
        self.stage.stack.worker("effects-2", ("provision", "notify"))
        self.stage.settle()
        self.say("resumed", "another worker asked again under the same key: one room, one invite each")

    def a_session_moves(self) -> None:
        """A session is agreed, then moved by an hour."""
        self.stage.advance(cast.MONDAY + 2 * HOUR)
        start = cast.TUESDAY + 11 * HOUR
        request_id = self.ask("python", self.wish(cast.BEN, start, HOUR, "python"))
        self.stage.settle()
        session = self.session(request_id)
        outcome = self._send(
            RescheduleSession, session_id=session.id, new_start=start + HOUR, reason="a train"
        )
        self.stage.settle()
        self.say(
            "moved",
            f"Ben's session moved to {outcome.start:%H:%M} UTC; both got update no. {outcome.revision}",
        )

    def a_consultant_declines(self) -> None:
        """A service that consultants confirm: the first declines, the second accepts."""
        self.stage.advance(cast.MONDAY + 3 * HOUR)
        wish = self.wish(cast.YUKI, cast.TUESDAY, 24 * HOUR, "academic writing", cast.REVIEW)
        request_id = self.ask("review", wish)
        self.stage.settle()
        for answer in (DeclineRequest, ConfirmRequest):
            asked = self.request(request_id).assigned_consultant_user_id
            if asked is None:
                raise StageError("nobody was asked to confirm the thesis review")
            self.asked.append(asked)
            self._send(answer, request_id=request_id, consultant_user_id=asked)
            self.stage.settle()
            self.say("answer", f"{_name(asked)} {'declines' if answer is DeclineRequest else 'accepts'}")

    def a_consultant_cancels(self) -> None:
        """A session is agreed, then cancelled by its consultant."""
        self.stage.advance(cast.MONDAY + 4 * HOUR)
        wish = self.wish(cast.CHLOE, cast.TUESDAY + 9 * HOUR, HOUR, "analysis")
        request_id = self.ask("cancelled", wish)
        self.stage.settle()
        session = self.session(request_id)
        self._send(CancelSession, session_id=session.id, cancelled_by="consultant", reason="ill")
        self.stage.settle()
        self.say("cancelled", "Dr Weber is ill: Chloe's session left both calendars, the time is free")

    def the_night(self) -> None:
        """Reminders of a day before."""
        self.stage.advance(cast.TUESDAY + 10 * HOUR)
        self.say(
            "reminders",
            f"{len(self.stage.mail.mails())} mails so far, each in its reader's zone and language",
        )

    def tuesday(self) -> None:
        """Four sessions: one as agreed, one without its learner, one without evidence, one as agreed."""
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
            self.stage.advance(session.scheduled_start_time + MINUTE)
            self._seen(session, present)
        self.stage.advance(statistics.scheduled_end_time + HOUR)
        for session in (review, python, tutoring, statistics):
            judged = self.session(session.consultation_request_id)
            pair = f"{_name(session.requester_user_id)} with {_name(session.consultant_user_id)}"
            self.say("verdict", f"{pair}: {judged.status}")

    def afterwards(self) -> None:
        """Notes and a bill; and the day after, nothing is left open."""
        session = self.session(self.requests["tutoring"])
        self._send(RecordOutcome, session_id=session.id, notes="Eigenvalues understood; next: Jordan form.")
        self._send(RecordBilling, session_id=session.id, billed_amount=Decimal("45.00"))
        self.stage.advance(cast.WEDNESDAY)
        self.stage.see_the_day_in()
        self.say("end", "Wednesday 00:00 UTC: nothing is left to do")

    # -- how to act --------------------------------------------------------------------------------------

    @staticmethod
    def wish(
        person: Person, start: datetime, span: timedelta, skill: str, kind: UUID = cast.TUTORING
    ) -> SubmitRequest:
        """A request for a window, not sent yet."""
        return SubmitRequest(
            message_id=uuid7(),
            actor=str(person.id),
            request_id=uuid7(),
            requester_user_id=person.id,
            service_type_id=kind,
            preferred_start=start,
            preferred_end=start + span,
            required_specializations=(skill,),
            details=f"{person.name} asks about {skill}",
        )

    def ask(self, label: str, wish: SubmitRequest) -> UUID:
        """Submit a request; returns its id, which the checks find under `label`."""
        outcome = self.stage.send(wish)
        if outcome.result != "done":
            raise StageError(f"{label}: {outcome}")
        self.requests[label] = wish.request_id
        skill = wish.required_specializations[0]
        self.say(
            "request",
            f"{_name(wish.requester_user_id)} asks for {skill}, {wish.preferred_start:%a %H:%M} UTC",
        )
        return wish.request_id

    def say(self, topic: str, line: str) -> None:
        """Tell one line at the story's time."""
        self.tell(self.stage.now(), topic, line)

    def request(self, request_id: UUID) -> ConsultationRequest:
        """A request as it stands."""
        with transaction() as db:
            return db.get_one(ConsultationRequest, request_id)

    def session(self, request_id: UUID) -> ScheduledSession:
        """The session of a request. Raises StageError when it has none."""
        with transaction() as db:
            found = db.execute(
                select(ScheduledSession).where(ScheduledSession.consultation_request_id == request_id)
            ).scalar_one_or_none()
        if found is None:
            raise StageError(f"request {request_id} has no session: {self.request(request_id).status_reason}")
        return found

    def _send(self, contract: Any, **values: Any) -> Any:
        outcome = self.stage.send(contract(message_id=uuid7(), actor="demo", **values))
        if outcome.result not in {"done", "already_done"}:
            raise StageError(f"{contract.task} was refused: {outcome}")
        return outcome

    def _seen(self, session: ScheduledSession, present: tuple[str, ...]) -> None:
        """Tell the service, and the platform's report, who is in the room."""
        observations = [
            Observation(
                evidence_type="room_opened", observed_at=session.scheduled_start_time, external_id="opened"
            )
        ]
        for party in present:
            for evidence_type, at in (
                ("joined", session.scheduled_start_time),
                ("left", session.scheduled_end_time),
            ):
                observations.append(
                    Observation(
                        evidence_type=evidence_type,
                        party=party,
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
            for call in self.stage.platform.ledger()
        )


def _name(user_id: UUID) -> str:
    people = {person.id: person.name for person in (*cast.CONSULTANTS, *cast.LEARNERS)}
    return people[user_id]
