"""What one step of a scenario can be: what a caller says, what the clock and the world outside do.

A step is repeatable: run again with the same message ids, it is what a caller without an answer does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from tests.builders import NOW
from tests.calendars.files import calendar, event
from tests.crashpoints.people import address, fixed_id, weekly
from tests.replies import mails

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class World(Protocol):
    """What a step may do."""

    def say(self, task: str, body: dict[str, Any]) -> None:
        """Send a message and wait for its answer; the tasks of the wake-ups are run."""

    def at(self, instant: datetime) -> None:
        """Set the clock; all that is due at this instant is done."""

    def soon(self, instant: datetime) -> None:
        """The same without the runs of the day and another look at what waits."""

    def tick(self) -> None:
        """One tick of every sweep, needed or not."""

    def offered(self, request: str) -> UUID:
        """The token of the latest offer to a request."""

    def held(self, request: str) -> UUID:
        """The token of what is held for a request."""

    def confirmation_request(self, request: str, number: int) -> tuple[UUID, str]:
        """The question of this number (from 1) about a request, and the address of whoever was asked."""

    def proposed(self, request: str) -> UUID:
        """The other time that was proposed for a request's session last."""

    def session(self, request: str) -> UUID:
        """The session of a request."""

    def session_start(self, request: str) -> datetime:
        """When it is to begin."""

    def control(self, **changes: Any) -> None:
        """Let the platform misbehave."""

    def seen(self, request: str, *observations: dict[str, Any], complete: bool) -> None:
        """Let the platform see something in a session's room."""

    def lose_room(self, request: str) -> None:
        """Let the platform lose a session's room."""

    def calendar_url(self) -> str:
        """Where the outside calendar is."""

    def write_calendar(self, content: bytes) -> None:
        """Let the outside calendar's owner change it."""

    def wait_for_calendar(self) -> None:
        """Real time goes by until the outside calendar is due for another look."""


Step = Callable[[World], None]


def submit(label: str, requester: str, skill: str, service: str = "tutoring", **more: Any) -> Step:
    body = {
        "request_id": str(fixed_id(label)),
        "requester_user_id": str(fixed_id(requester)),
        "service_type_id": str(fixed_id(service)),
        "required_specializations": [skill],
        "details": f"help with {skill}",
        **more,
    }
    return lambda world: world.say("submit_request", _signed(f"submit {label}", requester, body))


def about_request(task: str, label: str, actor: str, **more: Any) -> Step:
    body = {"request_id": str(fixed_id(label)), **more}
    return lambda world: world.say(task, _signed(f"{task} {label} {actor}", actor, body))


def answer(task: str, label: str, consultant: str, **more: Any) -> Step:
    return about_request(task, label, consultant, consultant_user_id=str(fixed_id(consultant)), **more)


def about_session(task: str, label: str, actor: str, **more: Any) -> Step:
    name = f"{task} {label} {sorted(more.items())}"
    return lambda world: world.say(
        task, _signed(name, actor, {"session_id": str(world.session(label)), **more})
    )


def reply(task: str, label: str, requester: str) -> Step:
    """The requester's word on what was offered last."""
    return lambda world: about_request(task, label, requester, hold_token=str(world.offered(label)))(world)


def hold(label: str, requester: str, service: str, consultant: str, ahead: timedelta, **more: Any) -> Step:
    """Keep a consultant's start until it is confirmed or given back."""
    body = {
        "request_id": str(fixed_id(label)),
        "requester_user_id": str(fixed_id(requester)),
        "service_type_id": str(fixed_id(service)),
        "consultant_user_id": str(fixed_id(consultant)),
        "start": (NOW + ahead).isoformat(),
        **more,
    }
    return lambda world: world.say("hold_slot", _signed(f"hold {label}", requester, body))


def with_token(task: str, label: str, requester: str, **more: Any) -> Step:
    """What whoever has the token may do with a hold."""

    def step(world: World) -> None:
        about_request(task, label, requester, hold_token=str(world.held(label)), **more)(world)

    return step


def series(label: str, requester: str, consultant: str, *ahead: timedelta) -> Step:
    """Book all these starts, or none."""
    body = {
        "series_id": str(fixed_id(label)),
        "requester_user_id": str(fixed_id(requester)),
        "service_type_id": str(fixed_id("tutoring")),
        "consultant_user_id": str(fixed_id(consultant)),
        "starts": [(NOW + one).isoformat() for one in ahead],
    }
    return lambda world: world.say("book_series", _signed(f"series {label}", requester, body))


def mailed(label: str, number: int, answer: str) -> Step:
    """The calendar of whoever was asked answers the question of this number."""

    def step(world: World) -> None:
        question, sender = world.confirmation_request(label, number)
        _replied(world, f"{label} {number}", question, sender, answer)

    return step


def mailed_of_session(label: str, person: str, answer: str) -> Step:
    """The calendar of one side answers the invitation to a session that began as a question."""
    name = f"{label} {person} {answer}"
    return lambda world: _replied(world, name, world.session(label), address(person), answer, 1)


def _replied(world: World, name: str, entry: UUID, sender: str, answer: str, sequence: int = 0) -> None:
    attendee = f"ATTENDEE;PARTSTAT={answer}:mailto:{sender}"
    body: dict[str, Any] = {
        "sender": sender,
        "calendar": mails.calendar(entry, sequence=sequence, attendee=attendee),
    }
    body |= {"authenticated": True}
    world.say("receive_reply", _signed(f"reply {name}", "mail gateway", body))


def reassigned(label: str, consultant: str, reason: str) -> Step:
    taken = {"consultant_user_id": str(fixed_id(consultant)), "reason": reason}
    return about_session("reassign_session", label, "desk", **taken)


def away(label: str, consultant: str, day: timedelta) -> Step:
    """Plan a day's absence of a consultant."""
    start = (NOW + day).replace(hour=0, tzinfo=None)
    body = {
        "plan_id": str(fixed_id(label)),
        "consultant_user_id": str(fixed_id(consultant)),
        "reason": "ill",
        "start": start.isoformat(),
        "end": (start + 24 * HOUR).isoformat(),
    }
    return lambda world: world.say("plan_absence", _signed(f"plan {label}", "desk", body))


def about_plan(task: str, label: str) -> Step:
    body = {"plan_id": str(fixed_id(label))}
    return lambda world: world.say(task, _signed(f"{task} {label}", "desk", body))


def of_proposal(label: str, requester: str, *, accepted: bool) -> Step:
    """The requester's word on another time for their session."""

    def step(world: World) -> None:
        body = {"proposal_id": str(world.proposed(label)), "accepted": accepted}
        world.say("answer_proposal", _signed(f"proposal {label}", requester, body))

    return step


def administered(task: str, **body: Any) -> Step:
    """A word of the platform's administration."""
    return lambda world: world.say(task, _signed(task, "admin", body))


def hours(consultant: str, *week: tuple[int, str, str]) -> Step:
    body = {"consultant_user_id": str(fixed_id(consultant)), "weekly": weekly(*week)}
    return lambda world: world.say("set_availability", _signed(f"hours {consultant} {week}", "admin", body))


def leave(label: str, consultant: str, ahead: timedelta, lasts: timedelta) -> Step:
    """A consultant is away, whatever is agreed in it."""
    start = (NOW + ahead).replace(tzinfo=None)
    body = {
        "leave_id": str(fixed_id(label)),
        "consultant_user_id": str(fixed_id(consultant)),
        "reason": "ill",
        "start": start.isoformat(),
        "end": (start + lasts).isoformat(),
    }
    return lambda world: world.say("add_leave", _signed(f"leave {label}", "admin", body))


def back(label: str, consultant: str) -> Step:
    """A leave is taken back."""
    body = {"leave_id": str(fixed_id(label)), "consultant_user_id": str(fixed_id(consultant))}
    return lambda world: world.say("remove_leave", _signed(f"back {label}", "admin", body))


def busy(*ahead: timedelta) -> bytes:
    """An outside calendar with an hour at each of these times."""
    hours = (
        event(f"DTSTART:{NOW + one:%Y%m%dT%H%M%SZ}", "DURATION:PT1H", uid=f"{one}@elsewhere.example")
        for one in ahead
    )
    return calendar(*hours)


def feed(label: str, consultant: str, content: bytes) -> Step:
    """A consultant names the calendar that holds this."""

    def step(world: World) -> None:
        world.write_calendar(content)
        body = {
            "feed_id": str(fixed_id(label)),
            "consultant_user_id": str(fixed_id(consultant)),
            "feed_type": "ics",
            "url": world.calendar_url(),
        }
        world.say("set_calendar_feed", _signed(f"feed {label}", "admin", body))

    return step


def reads(content: bytes) -> Step:
    """The outside calendar came to hold this, and is due for another look."""

    def step(world: World) -> None:
        world.write_calendar(content)
        world.wait_for_calendar()

    return step


def feed_removed(label: str) -> Step:
    body = {"feed_id": str(fixed_id(label))}
    return lambda world: world.say("remove_calendar_feed", _signed(f"no feed {label}", "admin", body))


def at(ahead: timedelta) -> Step:
    return lambda world: world.at(NOW + ahead)


def soon(ahead: timedelta) -> Step:
    """As `at`, without the runs of the day: their points are in other scenarios."""
    return lambda world: world.soon(NOW + ahead)


def after_start(label: str, since: timedelta) -> Step:
    """A time of the session's own clock; negative before it begins."""
    return lambda world: world.at(world.session_start(label) + since)


def presence(evidence_type: str, at: timedelta, who: str | None = None) -> dict[str, Any]:
    """One observation of a platform, `at` counted from the session's start."""
    name = f"{evidence_type} {who} {at}"
    return {"id": name, "evidence_type": evidence_type, "observed_at": at, "user_id": who}


def seen(label: str, *observations: dict[str, Any], complete: bool = True) -> Step:
    return lambda world: world.seen(label, *observations, complete=complete)


def while_platform(step: Step, **misbehaves: Any) -> Step:
    """A step during which the meeting platform misbehaves."""

    def troubled(world: World) -> None:
        world.control(**misbehaves)
        step(world)

    return troubled


def without_room(label: str, step: Step) -> Step:
    """A step before which the platform lost a session's room."""

    def bereft(world: World) -> None:
        world.lose_room(label)
        step(world)

    return bereft


def _signed(name: str, actor: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"message_id": str(fixed_id(f"message: {name}")), "actor": actor, **body}


def lobby(label: str) -> Step:
    """Evidence of another source than the platform."""

    def step(world: World) -> None:
        start = world.session_start(label)
        observation = {
            "evidence_type": "joined",
            "party": "requester",
            "external_id": "lobby 1",
            "observed_at": (start + 2 * MINUTE).isoformat(),
        }
        report = {"source": "lobby", "observations": [observation]}
        about_session("record_attendance", label, "lobby", **report)(world)

    return step
