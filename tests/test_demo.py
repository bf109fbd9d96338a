"""The demo: it runs as its reader runs it, leaves what it says, and its own checks can fail."""

from __future__ import annotations

import email
import email.policy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import pytest
from icalendar import Calendar

from booking_tasks.contracts import CloudEvent, RequestOutcome
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, Job, ScheduledSession
from booking_tasks.ops.demo import cast
from booking_tasks.ops.demo.checks import CHECKS, Evidence
from booking_tasks.ops.demo.story import Story

# -- the demo as its reader runs it ----------------------------------------------------------------


@dataclass(frozen=True)
class Played:
    """A demo that ended, with the folder it left."""

    exit_code: int
    output: str
    folder: Path

    @property
    def outcome(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "outcome.json").read_text())
        return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The demo played once, in a directory of its own and with no server given."""
    folder = tmp_path_factory.mktemp("demo")
    inherited = ("DATABASE_URL", "REDIS_URL", "CELERY_", "BOOKING_")
    done = subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "demo", "--out", str(folder / "out")],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(inherited)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=200,
    )
    return Played(done.returncode, done.stdout, folder / "out")


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_the_demo_plays_to_its_end_with_every_check_true(played: Played) -> None:
    assert played.exit_code == 0, played.output
    checks = played.outcome["checks"]
    assert [check for check in checks if not check["holds"]] == []
    assert (played.outcome["passed"], played.outcome["failed"]) == (len(CHECKS), 0)
    assert len({check["claim"] for check in checks}) == len(checks) >= 10
    assert 0 < played.outcome["seconds"] < 120


@pytest.mark.stack
def test_every_mail_and_invite_it_leaves_can_be_read(played: Played) -> None:
    mails = [
        email.message_from_bytes(path.read_bytes(), EmailMessage, policy=email.policy.default)
        for path in sorted((played.folder / "mail").glob("*.eml"))
    ]
    assert len(mails) >= 20
    for mail in mails:
        assert [part.defects for part in mail.walk() if part.defects] == []
        assert mail["To"].addresses[0].domain == "example.org"
    invites = [Calendar.from_ical(path.read_bytes()) for path in (played.folder / "invites").glob("*.ics")]
    assert {str(invite["METHOD"]) for invite in invites} == {"REQUEST", "CANCEL"}
    for invite in invites:
        assert invite.errors == []
        (event,) = invite.events
        assert event.errors == []
        assert event.DTSTART < event.DTEND


@pytest.mark.stack
def test_every_event_it_leaves_is_a_cloud_event(played: Played) -> None:
    lines = (played.folder / "events.jsonl").read_text().splitlines()
    events = [CloudEvent.model_validate_json(line) for line in lines]
    assert len({event.id for event in events}) == len(events) >= 20
    assert all(set(json.loads(line)) == set(CloudEvent.model_fields) for line in lines)


@pytest.mark.stack
def test_the_picture_it_leaves_shows_every_consultant(played: Played) -> None:
    picture = ElementTree.parse(played.folder / "day.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {person.name for person in cast.CONSULTANTS} <= texts


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
    """The evidence of a day on which everything went well, to be doctored."""

    def __init__(self) -> None:
        # The checks look at what a story remembers, not at the stage it was played on.
        self.story = Story(None, lambda *_: None)  # type: ignore[arg-type]
        names = ("tutoring", "statistics", "review", "python", "cancelled", "withdrawn", "left waiting")
        self.story.requests |= {name: uuid7() for name in names}
        self.story.rivals += [self.story.requests[one] for one in ("tutoring", "withdrawn", "left waiting")]
        self.story.asked += [cast.SOUSA.id, cast.NAIR.id]
        self.story.repeated += [RequestOutcome(result="done"), RequestOutcome(result="done")]
        noon = cast.TUESDAY.replace(hour=12)
        sessions = {
            "tutoring": self.session("tutoring", cast.MIRA.id, cast.WEBER.id, "completed", noon + HOUR),
            "statistics": self.session(
                "statistics", cast.TOM.id, cast.OKAFOR.id, "completed", noon + 3 * HOUR
            ),
            "review": self.session("review", cast.YUKI.id, cast.NAIR.id, "no_show_user", noon - 6 * HOUR),
            "python": self.session("python", cast.BEN.id, cast.OKAFOR.id, "attendance_unknown", noon),
            "cancelled": self.session(
                "cancelled", cast.CHLOE.id, cast.WEBER.id, "cancelled_by_consultant", noon - 3 * HOUR
            ),
        }
        self.emails = {person.id: person.email for person in (*cast.CONSULTANTS, *cast.LEARNERS)}
        self.evidence = Evidence(
            story=self.story,
            mails=self.mails(sessions),
            calls=self.calls(sessions),
            events=[],
            requests=self.requests(),
            sessions=[*sessions.values()],
            facts=[self.fact(one) for one in sessions.values()],
            jobs=self.jobs(sessions),
            emails=self.emails,
        )
        self.evidence.events += [
            {"id": str(job.subject_id)} for job in self.evidence.jobs if job.job_type == "publish_event"
        ]

    def session(
        self, label: str, requester: UUID, consultant: UUID, status: str, start: datetime
    ) -> ScheduledSession:
        return ScheduledSession(
            id=uuid7(),
            consultation_request_id=self.story.requests[label],
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
            for name, request_id in self.story.requests.items()
        ]
        made[2].assigned_consultant_user_id = cast.NAIR.id
        return made

    @staticmethod
    def fact(session: ScheduledSession) -> AvailabilitySlot:
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
        def job(kind: str, subject: UUID, state: str, detail: str = "") -> Job:
            settled = None if state == "waiting" else cast.WEDNESDAY
            return Job(job_type=kind, subject_id=subject, state=state, detail=detail, finished_at=settled)

        return [
            *(job("send_reminder", sessions["statistics"].id, "done") for _ in range(4)),
            *(job("send_reminder", sessions["cancelled"].id, "skipped") for _ in range(4)),
            job("send_notice", self.story.requests["left waiting"], "done", "request_rejected"),
            *(job("publish_event", uuid7(), "done") for _ in range(3)),
        ]


def of(evidence: Evidence, label: str) -> ScheduledSession:
    return evidence.session(label)


def _second_winner(evidence: Evidence) -> None:
    evidence.request(evidence.story.rivals[2]).status = "completed"


def _overlap(evidence: Evidence) -> None:
    fact = evidence.facts[0]
    evidence.facts.append(
        AvailabilitySlot(
            consultant_user_id=fact.consultant_user_id,
            status="held",
            start_time=fact.end_time - timedelta(minutes=1),
            end_time=fact.end_time + HOUR,
        )
    )


def _fourth_try(evidence: Evidence) -> None:
    evidence.calls.insert(0, evidence.calls[0])


def _one_side_uninvited(evidence: Evidence) -> None:
    del evidence.mails[0]


def _mail_repeated(evidence: Evidence) -> None:
    evidence.mails.append(evidence.mails[0])


def _one_side_not_told_of_the_move(evidence: Evidence) -> None:
    session = of(evidence, "python")
    evidence.mails = [one for one in evidence.mails if not _says(one, session, "SEQUENCE:1", cast.BEN.email)]


def _one_side_not_told_of_the_end(evidence: Evidence) -> None:
    session = of(evidence, "cancelled")
    evidence.mails = [
        one for one in evidence.mails if not _says(one, session, "METHOD:CANCEL", cast.WEBER.email)
    ]


def _says(message: EmailMessage, session: ScheduledSession, line: str, to: str) -> bool:
    whole = message.as_string()
    return str(session.id) in whole and line in whole and str(message["To"]) == to


def _reminded_of_nothing(evidence: Evidence) -> None:
    _reminders(evidence, "cancelled")[0].state = "done"


def _reminder_missing(evidence: Evidence) -> None:
    _reminders(evidence, "statistics")[0].state = "skipped"


def _reminders(evidence: Evidence, label: str) -> list[Job]:
    return [
        job
        for job in evidence.jobs
        if job.job_type == "send_reminder" and job.subject_id == of(evidence, label).id
    ]


def _accused_without_evidence(evidence: Evidence) -> None:
    of(evidence, "python").status = "no_show_user"


def _two_keys(evidence: Evidence) -> None:
    evidence.calls[-1]["idempotency_key"] = "another"


def _two_answers(evidence: Evidence) -> None:
    evidence.story.repeated[1] = RequestOutcome(result="already_done")


def _asked_the_same_again(evidence: Evidence) -> None:
    evidence.story.asked[0] = evidence.story.asked[1]


def _told_twice(evidence: Evidence) -> None:
    evidence.jobs += [job for job in evidence.jobs if job.detail == "request_rejected"]


def _event_repeated(evidence: Evidence) -> None:
    evidence.events.append(evidence.events[0])


def _without_zone(evidence: Evidence) -> None:
    letter = next(one for one in evidence.mails if one["To"] == cast.YUKI.email)
    for part in letter.walk():
        if part.get_content_type() == "text/plain":
            part.set_payload("Tuesday at ten")


def _left_open(evidence: Evidence) -> None:
    evidence.jobs[0].finished_at = None


#: In the order of the checks: what breaks each.
DOCTORED: tuple[Callable[[Evidence], None], ...] = (
    _second_winner,
    _overlap,
    _fourth_try,
    _one_side_uninvited,
    _mail_repeated,
    _one_side_not_told_of_the_move,
    _one_side_not_told_of_the_end,
    _reminded_of_nothing,
    _reminder_missing,
    _accused_without_evidence,
    _two_keys,
    _two_answers,
    _asked_the_same_again,
    _told_twice,
    _event_repeated,
    _without_zone,
    _left_open,
)


def test_all_checks_hold_on_a_day_that_went_well() -> None:
    evidence = Day().evidence
    assert [one for one in (check(evidence) for check in CHECKS) if not one.holds] == []


@pytest.mark.parametrize(
    ("number", "doctor"), list(enumerate(DOCTORED)), ids=[one.__name__.strip("_") for one in DOCTORED]
)
def test_each_check_fails_on_what_it_is_there_to_find(
    number: int, doctor: Callable[[Evidence], None]
) -> None:
    evidence = Day().evidence
    doctor(evidence)
    assert not CHECKS[number](evidence).holds
    assert len(DOCTORED) == len(CHECKS)
