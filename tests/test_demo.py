"""The checks of the demo: each of them can fail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest

from booking_tasks.contracts import RequestOutcome
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, Job, ScheduledSession
from booking_tasks.ops.demo import people
from booking_tasks.ops.demo.checks import CHECKS, DemoResults
from booking_tasks.ops.demo.scenario import Scenario

# -- its checks can fail ---------------------------------------------------------------------------


def mail(
    to: str, about: ScheduledSession | None = None, method: str = "REQUEST", sequence: int = 0
) -> EmailMessage:
    """A mail as the sink keeps it, with a calendar part when it is about a session."""
    message = EmailMessage()
    message["To"], message["Message-ID"] = to, f"<{uuid7()}@booking.example.org>"
    message.set_content("Tuesday, 2 March 2027, 10:00–11:00 (Asia/Tokyo)")
    if about is not None:
        lines = (
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:test",
            f"METHOD:{method}",
            "BEGIN:VEVENT",
            f"UID:{about.id}@booking.example.org",
            f"SEQUENCE:{sequence}",
            "DTSTAMP:20270301T080000Z",
            "DTSTART:20270302T100000Z",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        )
        message.add_alternative("\r\n".join(lines), subtype="calendar")
    return message


HOUR = timedelta(hours=1)


class Day:
    """The results of a day on which everything went well, to be doctored."""

    def __init__(self) -> None:
        # The checks look at what a scenario remembers, not at the stage it was run on.
        self.scenario = Scenario(None, lambda *_: None)  # type: ignore[arg-type]
        names = ("tutoring", "statistics", "review", "python", "cancelled", "withdrawn", "left waiting")
        self.scenario.requests |= {name: uuid7() for name in names}
        self.scenario.rivals += [
            self.scenario.requests[one] for one in ("tutoring", "withdrawn", "left waiting")
        ]
        self.scenario.confirmers += [people.SOUSA.id, people.NAIR.id]
        self.scenario.repeated += [RequestOutcome(result="done"), RequestOutcome(result="done")]
        noon = people.TUESDAY.replace(hour=12)
        sessions = {
            "tutoring": self.session("tutoring", people.MIRA.id, people.WEBER.id, "completed", noon + HOUR),
            "statistics": self.session(
                "statistics", people.TOM.id, people.OKAFOR.id, "completed", noon + 3 * HOUR
            ),
            "review": self.session("review", people.YUKI.id, people.NAIR.id, "no_show_user", noon - 6 * HOUR),
            "python": self.session("python", people.BEN.id, people.OKAFOR.id, "attendance_unknown", noon),
            "cancelled": self.session(
                "cancelled", people.CHLOE.id, people.WEBER.id, "cancelled_by_consultant", noon - 3 * HOUR
            ),
        }
        self.emails = {person.id: person.email for person in (*people.CONSULTANTS, *people.LEARNERS)}
        self.results = DemoResults(
            scenario=self.scenario,
            mails=self.mails(sessions),
            calls=self.calls(sessions),
            events=[],
            requests=self.requests(),
            sessions=[*sessions.values()],
            reservations=[self.reservation(one) for one in sessions.values()],
            jobs=self.jobs(sessions),
            emails=self.emails,
        )
        self.results.events += [
            {"id": str(job.subject_id)} for job in self.results.jobs if job.job_type == "publish_event"
        ]

    def session(
        self, label: str, requester: UUID, consultant: UUID, status: str, start: datetime
    ) -> ScheduledSession:
        return ScheduledSession(
            id=uuid7(),
            consultation_request_id=self.scenario.requests[label],
            requester_user_id=requester,
            consultant_user_id=consultant,
            status=status,
            scheduled_start_time=start,
            scheduled_end_time=start + HOUR,
            meeting_platform_join_url="https://rooms.example.org/1",
        )

    def requests(self) -> list[ConsultationRequest]:
        ends = {"withdrawn": "cancelled", "left waiting": "rejected", "cancelled": "cancelled"}
        made = [
            ConsultationRequest(id=request_id, status=ends.get(name, "completed"))
            for name, request_id in self.scenario.requests.items()
        ]
        made[2].assigned_consultant_user_id = people.NAIR.id
        return made

    @staticmethod
    def reservation(session: ScheduledSession) -> AvailabilitySlot:
        return AvailabilitySlot(
            consultant_user_id=session.consultant_user_id,
            status="booked",
            start_time=session.scheduled_start_time,
            end_time=session.scheduled_end_time,
            session_start_time=session.scheduled_start_time,
        )

    def mails(self, sessions: dict[str, ScheduledSession]) -> list[EmailMessage]:
        extra = {"python": ("REQUEST", 1), "cancelled": ("CANCEL", 1)}
        made = []
        for label, session in sessions.items():
            for person in (session.requester_user_id, session.consultant_user_id):
                made.append(mail(self.emails[person], session))
                if label in extra:
                    made.append(mail(self.emails[person], session, *extra[label]))
        return made

    @staticmethod
    def calls(sessions: dict[str, ScheduledSession]) -> list[dict[str, Any]]:
        answers = [
            ("tutoring", 503),
            ("tutoring", 503),
            ("tutoring", 201),
            ("statistics", 201),
            ("statistics", 200),
        ]
        return [
            {
                "method": "PUT",
                "path": f"/rooms/{sessions[name].id}",
                "idempotency_key": name,
                "status": status,
            }
            for name, status in answers
        ]

    def jobs(self, sessions: dict[str, ScheduledSession]) -> list[Job]:
        def job(job_type: str, subject: UUID, state: str, **args: str) -> Job:
            settled = None if state == "waiting" else people.WEDNESDAY
            return Job(job_type=job_type, subject_id=subject, state=state, args=args, finished_at=settled)

        return [
            *(job("send_reminder", sessions["statistics"].id, "done") for _ in range(4)),
            *(job("send_reminder", sessions["cancelled"].id, "skipped") for _ in range(4)),
            job("send_notice", self.scenario.requests["left waiting"], "done", notice="request_rejected"),
            *(job("publish_event", uuid7(), "done") for _ in range(3)),
        ]


def of(results: DemoResults, label: str) -> ScheduledSession:
    return results.session(label)


def _second_winner(results: DemoResults) -> None:
    results.request(results.scenario.rivals[2]).status = "completed"


def _overlap(results: DemoResults) -> None:
    reservation = results.reservations[0]
    results.reservations.append(
        AvailabilitySlot(
            consultant_user_id=reservation.consultant_user_id,
            status="held",
            start_time=reservation.end_time - timedelta(minutes=1),
            end_time=reservation.end_time + HOUR,
        )
    )


def _fourth_try(results: DemoResults) -> None:
    results.calls.insert(0, results.calls[0])


def _one_side_uninvited(results: DemoResults) -> None:
    del results.mails[0]


def _mail_repeated(results: DemoResults) -> None:
    results.mails.append(results.mails[0])


def _one_side_without_the_update(results: DemoResults) -> None:
    session = of(results, "python")
    results.mails = [one for one in results.mails if not _says(one, session, "SEQUENCE:1", people.BEN.email)]


def _one_side_without_the_cancellation(results: DemoResults) -> None:
    session = of(results, "cancelled")
    results.mails = [
        one for one in results.mails if not _says(one, session, "METHOD:CANCEL", people.WEBER.email)
    ]


def _says(message: EmailMessage, session: ScheduledSession, line: str, to: str) -> bool:
    whole = message.as_string()
    return str(session.id) in whole and line in whole and str(message["To"]) == to


def _reminded_of_nothing(results: DemoResults) -> None:
    _reminders(results, "cancelled")[0].state = "done"


def _reminder_missing(results: DemoResults) -> None:
    _reminders(results, "statistics")[0].state = "skipped"


def _reminders(results: DemoResults, label: str) -> list[Job]:
    return [
        job
        for job in results.jobs
        if job.job_type == "send_reminder" and job.subject_id == of(results, label).id
    ]


def _accused_without_evidence(results: DemoResults) -> None:
    of(results, "python").status = "no_show_user"


def _two_keys(results: DemoResults) -> None:
    results.calls[-1]["idempotency_key"] = "another"


def _two_answers(results: DemoResults) -> None:
    results.scenario.repeated[1] = RequestOutcome(result="already_done")


def _one_consultant_requested_twice(results: DemoResults) -> None:
    results.scenario.confirmers[0] = results.scenario.confirmers[1]


def _rejected_twice(results: DemoResults) -> None:
    results.jobs += [job for job in results.jobs if job.args and job.args.get("notice") == "request_rejected"]


def _event_repeated(results: DemoResults) -> None:
    results.events.append(results.events[0])


def _without_zone(results: DemoResults) -> None:
    mail = next(one for one in results.mails if one["To"] == people.YUKI.email)
    for part in mail.walk():
        if part.get_content_type() == "text/plain":
            part.set_payload("Tuesday at ten")


def _left_open(results: DemoResults) -> None:
    results.jobs[0].finished_at = None


#: In the order of the checks: what breaks each.
DOCTORED: tuple[Callable[[DemoResults], None], ...] = (
    _second_winner,
    _overlap,
    _fourth_try,
    _one_side_uninvited,
    _mail_repeated,
    _one_side_without_the_update,
    _one_side_without_the_cancellation,
    _reminded_of_nothing,
    _reminder_missing,
    _accused_without_evidence,
    _two_keys,
    _two_answers,
    _one_consultant_requested_twice,
    _rejected_twice,
    _event_repeated,
    _without_zone,
    _left_open,
)


def test_all_checks_hold_on_a_day_that_went_well() -> None:
    results = Day().results
    assert [one for one in (check(results) for check in CHECKS) if not one.holds] == []


@pytest.mark.parametrize(
    ("number", "doctor"), list(enumerate(DOCTORED)), ids=[one.__name__.strip("_") for one in DOCTORED]
)
def test_each_check_fails_on_what_it_is_there_to_find(
    number: int, doctor: Callable[[DemoResults], None]
) -> None:
    results = Day().results
    doctor(results)
    assert not CHECKS[number](results).holds
    assert len(DOCTORED) == len(CHECKS)
