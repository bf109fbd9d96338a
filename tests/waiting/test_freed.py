"""Whatever gives a consultant's time back notes it in its own transaction, and wakes the workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.orm import Session

from booking_tasks.assignment import service as assignment
from booking_tasks.availability import service as availability
from booking_tasks.calendars import service as calendars
from booking_tasks.calendars.rules import BusyInterval
from booking_tasks.catalogue import policies
from booking_tasks.catalogue import service as catalogue
from booking_tasks.context import Context
from booking_tasks.contracts import (
    AddLeave,
    CancelSession,
    ConfirmHold,
    DeclineRequest,
    HoldSlot,
    ReleaseHold,
    RemoveCalendarFeed,
    RemoveLeave,
    RescheduleSession,
    SetAvailability,
    SetCalendarFeed,
    SetConsultantPolicy,
    UpsertConsultant,
    WeeklyHours,
)
from booking_tasks.holds import service as holds
from booking_tasks.hours import service as hours
from booking_tasks.intake import service as intake
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest, ScheduledSession
from booking_tasks.outbox.pending_wakeups import pending_wakeups
from booking_tasks.sessions import service as sessions
from tests import builders
from tests.calendars.conftest import store_copy
from tests.waiting.waiting_scenario import HOUR, START, WaitingScenario


class Counter(WaitingScenario):
    """Says what is to be said, and shows what was noted since."""

    def say(self, use_case: Callable[..., Any], contract: Any, **values: Any) -> Any:
        message = contract.model_validate({"message_id": uuid4(), "actor": "test"} | values)
        outcome = use_case(self.db, self.ctx, message)
        assert outcome.result == "done", outcome
        return outcome

    def agreed(self) -> ConsultationRequest:
        self.frees(hours=4)
        request = builders.request(self.db, self.service_type.id)
        assignment.assign(self.db, self.ctx, request.id)
        return request

    def held(self) -> Any:
        self.frees()
        return self.say(
            holds.hold_slot,
            HoldSlot,
            request_id=uuid7(),
            requester_user_id=uuid7(),
            service_type_id=self.service_type.id,
            consultant_user_id=self.who,
            start=START,
        )

    def week(self, *days: int) -> None:
        weekly = tuple(WeeklyHours(weekday=day, start=time(9), end=time(17)) for day in days)
        self.say(hours.set_availability, SetAvailability, consultant_user_id=self.who, weekly=weekly)


def cancels(counter: Counter) -> None:
    session_id = counter.agreed().scheduled_session_id
    assert not counter.noted()
    counter.say(
        sessions.cancel, CancelSession, session_id=session_id, cancelled_by="consultant", reason="a cold"
    )


def moves(counter: Counter) -> None:
    session_id = counter.agreed().scheduled_session_id
    counter.say(sessions.reschedule, RescheduleSession, session_id=session_id, new_start=START + HOUR)


def releases(counter: Counter) -> None:
    held = counter.held()
    assert not counter.noted()
    counter.say(holds.release_hold, ReleaseHold, request_id=held.request_id, hold_token=held.hold_token)


def runs_out(counter: Counter) -> None:
    counter.held()
    counter.later(minutes=9)
    assert availability.expire_holds(counter.db, counter.ctx) == 0
    assert not counter.noted()
    counter.later(minutes=1)
    assert availability.expire_holds(counter.db, counter.ctx) == 1


def declines(counter: Counter) -> None:
    counter.service_type.requires_confirmation = True
    counter.db.flush()
    request = counter.agreed()
    counter.say(
        intake.decline, DeclineRequest, request_id=request.id, consultant_user_id=counter.who, reason="ill"
    )


def works_longer(counter: Counter) -> None:
    counter.week(1, 2)


def returns_early(counter: Counter) -> None:
    leave = uuid7()
    counter.week(1, 2)
    whole_day: dict[str, datetime] = {
        "start": datetime(2027, 3, 2),
        "end": datetime(2027, 3, 3),
    }
    counter.say(
        hours.add_leave, AddLeave, leave_id=leave, consultant_user_id=counter.who, reason="sea", **whole_day
    )
    before = counter.noted()["hours"]
    counter.say(hours.remove_leave, RemoveLeave, leave_id=leave, consultant_user_id=counter.who)
    assert counter.noted()["hours"] == before + 1


def may_do_more(counter: Counter) -> None:
    counter.say(
        policies.set_consultant_policy,
        SetConsultantPolicy,
        consultant_user_id=counter.who,
        service_type_id=counter.service_type.id,
        minimum_notice_minutes=0,
    )


def learns(counter: Counter) -> None:
    counter.say(
        catalogue.upsert_consultant,
        UpsertConsultant,
        consultant_user_id=counter.who,
        time_zone="UTC",
        specializations=("law",),
    )


def _feed(counter: Counter) -> UUID:
    feed = uuid7()
    counter.say(
        calendars.set_calendar_feed,
        SetCalendarFeed,
        feed_id=feed,
        consultant_user_id=counter.who,
        feed_type="ics",
        url="https://calendar.example/busy.ics",
    )
    return feed


def forgets_a_calendar(counter: Counter) -> None:
    feed = _feed(counter)
    counter.say(calendars.remove_calendar_feed, RemoveCalendarFeed, feed_id=feed)


def is_busy_no_longer(counter: Counter) -> None:
    _feed(counter)
    store_copy(counter.db, counter.ctx, BusyInterval(START, START + HOUR))
    assert not counter.noted()
    store_copy(counter.db, counter.ctx)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (cancels, "booking_freed"),
        (moves, "moved"),
        (releases, "hold_released"),
        (runs_out, "hold_over"),
        (declines, "hold_released"),
        (works_longer, "hours"),
        (returns_early, "hours"),
        (may_do_more, "policy"),
        (learns, "profile"),
        (forgets_a_calendar, "calendar"),
        (is_busy_no_longer, "calendar"),
    ],
)
def test_freed_time_is_noted_with_the_change_and_wakes_workers(
    db: Session, ctx: Context, way: Callable[[Counter], None], reason: str
) -> None:
    counter = Counter(db, ctx)
    way(counter)
    assert counter.noted()[reason] >= 1
    assert set(counter.noted()) == {reason}
    assert "offer_time" in pending_wakeups(db)


def _as_requester(counter: Counter, **values: Any) -> Any:
    """A hold of the consultant as a requester with somebody else."""
    other = builders.consultant(counter.db).consultant_user_id
    counter.frees(hours=4, who=other)
    return counter.say(
        holds.hold_slot,
        HoldSlot,
        request_id=uuid7(),
        requester_user_id=counter.who,
        service_type_id=counter.service_type.id,
        consultant_user_id=other,
        start=START,
        **values,
    )


def _session_as_requester(counter: Counter) -> UUID:
    held = _as_requester(counter)
    token = {"request_id": held.request_id, "hold_token": held.hold_token}
    booked: UUID = counter.say(holds.confirm_hold, ConfirmHold, **token).session_id
    assert not counter.noted()
    return booked


def releases_as_requester(counter: Counter) -> None:
    held = _as_requester(counter)
    counter.say(holds.release_hold, ReleaseHold, request_id=held.request_id, hold_token=held.hold_token)


def runs_out_as_requester(counter: Counter) -> None:
    _as_requester(counter)
    counter.later(minutes=10)
    assert availability.expire_holds(counter.db, counter.ctx) == 1


def cancels_as_requester(counter: Counter) -> None:
    about = {"session_id": _session_as_requester(counter), "cancelled_by": "user", "reason": "exam"}
    counter.say(sessions.cancel, CancelSession, **about)


def moves_as_requester(counter: Counter) -> None:
    about = {"session_id": _session_as_requester(counter), "new_start": START + HOUR}
    counter.say(sessions.reschedule, RescheduleSession, **about)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (releases_as_requester, "hold_released"),
        (runs_out_as_requester, "hold_over"),
        (cancels_as_requester, "booking_freed"),
        (moves_as_requester, "moved"),
    ],
)
def test_time_of_a_requester_who_is_a_consultant_is_offered_on(
    db: Session, ctx: Context, way: Callable[[Counter], None], reason: str
) -> None:
    counter = Counter(db, ctx)
    counter.frees(hours=4)
    waits = counter.waits(
        preferred_start_time=START,
        preferred_end_time=START + HOUR,
        requester_user_id=builders.user(db).user_id,
        excluded_consultant_user_ids=[counter.who],
    )
    waits.excluded_consultant_user_ids = []
    db.flush()

    way(counter)

    assert counter.noted() == {reason: 1}
    assert counter.offers() == waits.id
    assert counter.offer(waits).start_time == START


def test_what_frees_nothing_notes_nothing(db: Session, ctx: Context) -> None:
    counter = Counter(db, ctx)
    counter.week(1, 2)
    before = counter.noted()
    counter.week(1)  # shorter hours
    counter.agreed()
    assert not availability.release_hold(db, counter.ctx, uuid4())
    assert counter.noted() == before
    assert db.query(ScheduledSession).count() == 1
