"""The journey in acts: what callers say, what the clock and the meeting platform do, step by step.

A step is repeatable: played again with the same message ids, it is what a caller without an answer does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from tests.builders import NOW
from tests.crashpoints.cast import fixed_id, weekly

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class World(Protocol):
    """What a step may do."""

    def say(self, task: str, body: dict[str, Any]) -> None:
        """Send a message and wait for its answer; the bells that rang are answered."""

    def at(self, instant: datetime) -> None:
        """Set the clock; all that is due at this instant is done."""

    def tick(self) -> None:
        """One tick of every sweep, needed or not."""

    def offered(self, request: str) -> UUID:
        """The token of the latest offer to a request."""

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


Step = Callable[[World], None]


def submit(label: str, requester: str, skill: str, service: str = "tutoring", **more: Any) -> Step:
    body = {
        "request_id": str(fixed_id(label)), "requester_user_id": str(fixed_id(requester)),
        "service_type_id": str(fixed_id(service)), "required_specializations": [skill],
        "details": f"help with {skill}", **more,
    }  # fmt: skip
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


def given(label: str, consultant: str, reason: str) -> Step:
    taken = {"consultant_user_id": str(fixed_id(consultant)), "reason": reason}
    return about_session("reassign_session", label, "desk", **taken)


def away(label: str, consultant: str, day: timedelta) -> Step:
    """Plan a day's absence of a consultant."""
    start = (NOW + day).replace(hour=0, tzinfo=None)
    body = {
        "plan_id": str(fixed_id(label)), "consultant_user_id": str(fixed_id(consultant)), "reason": "ill",
        "start": start.isoformat(), "end": (start + 24 * HOUR).isoformat(),
    }  # fmt: skip
    return lambda world: world.say("plan_absence", _signed(f"plan {label}", "desk", body))


def about_plan(task: str, label: str) -> Step:
    body = {"plan_id": str(fixed_id(label))}
    return lambda world: world.say(task, _signed(f"{task} {label}", "desk", body))


def hours(consultant: str, *week: tuple[int, str, str]) -> Step:
    body = {"consultant_user_id": str(fixed_id(consultant)), "weekly": weekly(*week)}
    return lambda world: world.say("set_availability", _signed(f"hours {consultant} {week}", "admin", body))


def at(ahead: timedelta) -> Step:
    return lambda world: world.at(NOW + ahead)


def after_start(label: str, since: timedelta) -> Step:
    """A time of the session's own clock; negative before it begins."""
    return lambda world: world.at(world.session_start(label) + since)


def presence(kind: str, at: timedelta, who: str | None = None) -> dict[str, Any]:
    """One observation of a platform, `at` counted from the session's start."""
    return {"id": f"{kind} {who} {at}", "kind": kind, "observed_at": at, "user_id": who}


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


def _lobby(label: str) -> Step:
    """Evidence of another source than the platform."""

    def step(world: World) -> None:
        start = world.session_start(label)
        observation = {
            "kind": "joined", "party": "requester", "external_id": "lobby 1",
            "observed_at": (start + 2 * MINUTE).isoformat(),
        }  # fmt: skip
        told = {"source": "lobby", "observations": [observation]}
        about_session("record_attendance", label, "lobby", **told)(world)

    return step


_TUESDAY = ((2, "10:00", "13:00"),)

#: Name -> steps. After every step all is calm.
ACTS: dict[str, tuple[Step, ...]] = {
    "attended": (
        hours("ada", *_TUESDAY),
        submit("a1", "mira", "algebra"),
        after_start("a1", -HOUR * 24),
        after_start("a1", -HOUR),
        after_start("a1", timedelta(0)),
        seen("a1", presence("room_opened", timedelta(0)), presence("joined", MINUTE, "ada"), complete=False),
        _lobby("a1"),
        after_start("a1", 10 * MINUTE),
        seen("a1", presence("joined", 20 * MINUTE, "mira")),
        after_start("a1", HOUR),
        after_start("a1", HOUR + 15 * MINUTE),
        about_session("record_outcome", "a1", "ada", notes="went well", requester_attendance="absent"),
        about_session("record_billing", "a1", "billing", billed_amount="40.00"),
        after_start("a1", HOUR * 3),
        lambda world: world.tick(),
    ),
    "asked": (
        submit("b1", "mira", "review", "review", preferred_start=(NOW + HOUR * 72).isoformat()),
        answer("decline_request", "b1", "bob", reason="ill"),
        answer("decline_request", "b1", "cyd"),
        answer("decline_request", "b1", "eve"),
        at(MINUTE),
        submit("b2", "noor", "review", "review", preferred_start=(NOW + HOUR * 72).isoformat()),
        at(HOUR * 25),
        at(HOUR * 26),
        *(answer("confirm_request", "b2", who) for who in ("bob", "cyd", "eve")),
        at(HOUR * 49),
        about_session("cancel_session", "b2", "eve", cancelled_by="consultant", reason="ill"),
        at(HOUR * 100),
    ),
    "moved": (
        hours("ada", *_TUESDAY),
        while_platform(submit("c1", "mira", "algebra"), lose_reply_next=1),
        at(MINUTE),
        about_session("reschedule_session", "c1", "mira", new_start=(NOW + HOUR * 25.5).isoformat()),
        while_platform(
            about_session("reschedule_session", "c1", "mira", new_start=(NOW + HOUR * 26).isoformat()),
            fail_next=1, status=503,
        ),
        at(2 * MINUTE),
        at(3 * MINUTE),
        after_start("c1", -HOUR * 24),
        after_start("c1", -HOUR),
        about_session("cancel_session", "c1", "mira", cancelled_by="user", reason="exam moved"),
        after_start("c1", HOUR * 2),
    ),
    "given": (
        submit("g1", "mira", "review", "review", preferred_start=(NOW + HOUR * 72).isoformat()),
        *(answer("confirm_request", "g1", who) for who in ("bob", "cyd", "eve")),
        given("g1", "eve", "bob is ill"),
        while_platform(given("g1", "bob", "eve is ill too"), fail_next=1, status=503),
        given("g1", "eve", "eve is well"),
        after_start("g1", -HOUR),
        after_start("g1", timedelta(0)),
        seen("g1", presence("room_opened", timedelta(0)), presence("joined", MINUTE, "eve")),
        after_start("g1", HOUR * 2),
    ),
    "away": (
        hours("ada", *_TUESDAY, (3, "10:00", "13:00")),
        submit("h1", "mira", "algebra"),
        submit("h2", "noor", "review", "review", preferred_start=(NOW + HOUR * 26).isoformat()),
        *(answer("confirm_request", "h2", who) for who in ("bob", "cyd", "eve")),
        given("h2", "eve", "bob is on leave"),
        away("first", "ada", HOUR * 24),
        about_plan("apply_absence_plan", "first"),
        about_plan("undo_absence_plan", "first"),
        away("second", "ada", HOUR * 24),
        about_plan("apply_absence_plan", "second"),
        away("third", "eve", HOUR * 24),
        about_plan("apply_absence_plan", "third"),
        at(6 * MINUTE),
        at(HOUR * 25),
        after_start("h2", timedelta(0)),
        after_start("h2", HOUR * 2),
    ),
    "in vain": (
        submit("d1", "mira", "fencing"),
        submit("d2", "noor", "review", "review"),
        about_request("cancel_request", "d2", "noor", reason="found a book"),
        submit("d3", "noor", "fencing"),
        about_request("cancel_request", "d3", "noor"),
        at(HOUR),
        at(HOUR * 49),
    ),
    "rivals": (
        hours("ada", (2, "10:00", "11:10")),
        submit("e1", "mira", "algebra", preferred_end=(NOW + HOUR * 40).isoformat()),
        submit("e2", "noor", "algebra", preferred_end=(NOW + HOUR * 40).isoformat()),
        at(MINUTE),
        about_session("cancel_session", "e1", "mira", cancelled_by="user", reason="too early"),
        at(2 * MINUTE),
        after_start("e2", timedelta(0)),
        after_start("e2", HOUR * 5),
    ),
    "offered": (
        hours("ada", (2, "10:00", "11:00")),
        submit("h1", "mira", "algebra", "coaching", preferred_end=(NOW + HOUR * 40).isoformat()),
        submit("h2", "noor", "algebra", "coaching", preferred_end=(NOW + HOUR * 40).isoformat()),
        submit("h3", "owen", "algebra", "coaching", preferred_end=(NOW + HOUR * 40).isoformat()),
        at(MINUTE),
        about_session("cancel_session", "h1", "mira", cancelled_by="user", reason="too early"),
        at(31 * MINUTE),  # noor did not answer
        reply("decline_offer", "h3", "owen"),
        hours("ada", (2, "10:00", "12:00")),
        at(62 * MINUTE),
        reply("accept_offer", "h2", "noor"),
        after_start("h2", HOUR * 5),
    ),
    "unlinked": (
        hours("ada", *_TUESDAY),
        while_platform(submit("f1", "mira", "algebra"), fail_next=1, status=422),
        about_session("reschedule_session", "f1", "mira", new_start=(NOW + HOUR * 26).isoformat()),
        at(HOUR * 3),  # the day's reminder goes out before the room is missed, whoever dies
        without_room("f1", at(HOUR * 16)),
        after_start("f1", timedelta(0)),
        seen("f1", presence("room_opened", timedelta(0)), presence("joined", timedelta(0), "ada")),
        after_start("f1", HOUR * 2),
    ),
}  # fmt: skip
