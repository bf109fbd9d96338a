"""In one snapshot a start is offered if and only if it can be booked, whatever the policies are.

The reference below counts in whole minutes and knows nothing of ranges, windows' rows or SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from booking_tasks.availability import service
from booking_tasks.availability.service import Reservation
from booking_tasks.availability.store import free_starts_by_consultant
from booking_tasks.context import Context
from booking_tasks.models import AvailabilitySlot, ConsultantPolicy, ServiceType
from tests import builders
from tests.builders import NOW

MINUTE = timedelta(minutes=1)
ZONES = ("Europe/Vienna", "Pacific/Apia", "America/New_York", "Asia/Kathmandu")
#: The policies by their column on the service_type, with the column of a consultant's own word.
OWN_NAME = {"default_duration_minutes": "duration_minutes"}


@dataclass(frozen=True)
class Day:
    """What stands in a consultant's ledger: spans in minutes from now, starts to be booked before.

    `whole` are the limits over all service types, `elsewhere` starts of another type, half an hour each.
    """

    zone: str
    service_type: dict[str, int]
    own: dict[str, int]
    windows: tuple[tuple[int, int], ...]
    blocks: tuple[tuple[int, int], ...]
    held_at: tuple[int, ...]
    whole: dict[str, int] = field(default_factory=dict)
    elsewhere: tuple[int, ...] = ()

    def policy(self, name: str) -> int | None:
        return self.own.get(OWN_NAME.get(name, name), self.service_type.get(name))


LIMITS: dict[str, st.SearchStrategy[int]] = {
    "max_sessions_per_day": st.integers(1, 3),
    "max_sessions_per_week": st.integers(1, 4),
    "max_minutes_per_day": st.sampled_from((45, 60, 120)),
    "max_minutes_per_week": st.sampled_from((60, 150, 240)),
}
#: How long a session of the other service_type is, in minutes.
OTHER = 30


def policies(duration: str) -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries(
        {duration: st.sampled_from((30, 45, 60)), "slot_step_minutes": st.sampled_from((15, 20, 30, 45))},
        optional={
            "buffer_before_minutes": st.sampled_from((0, 5, 15)),
            "buffer_after_minutes": st.sampled_from((0, 10, 30)),
            "minimum_notice_minutes": st.sampled_from((0, 60, 300, 1500)),
            "horizon_days": st.sampled_from((1, 2, 90)),
        }
        | LIMITS,
    )


def spans(most: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    ends = st.tuples(st.integers(0, 290), st.integers(1, 60)).map(lambda a: (a[0] * 15, (a[0] + a[1]) * 15))
    return st.lists(ends, max_size=most).map(tuple)


days = st.builds(
    Day,
    zone=st.sampled_from(ZONES),
    service_type=policies("default_duration_minutes"),
    own=st.one_of(st.just({}), policies("duration_minutes")),
    windows=spans(6),
    blocks=spans(2),
    held_at=st.lists(st.integers(0, 400), max_size=6).map(tuple),
    whole=st.one_of(st.just({}), st.fixed_dictionaries({}, optional=LIMITS)),
    elsewhere=st.lists(st.integers(0, 300), max_size=3).map(tuple),
)


class Desk:
    """The day in the database."""

    def __init__(self, db: Session, ctx: Context, day: Day) -> None:
        self.db, self.ctx, self.day = db, ctx, day
        self.service_type: ServiceType = builders.service_type(db, **day.service_type)
        self.other: ServiceType = builders.service_type(
            db, default_duration_minutes=OTHER, slot_step_minutes=15
        )
        consultant = builders.consultant(db, time_zone=day.zone)
        self.who = consultant.consultant_user_id
        if day.own:
            db.add(
                ConsultantPolicy(
                    consultant_user_id=self.who, consultation_service_type_id=self.service_type.id, **day.own
                )
            )
        self.windows = list(_apart(day.windows))
        for status, pieces in (("available", self.windows), ("unavailable", day.blocks)):
            db.add_all(
                AvailabilitySlot(
                    consultant_user_id=self.who,
                    status=status,
                    source="test",
                    start_time=NOW + begins * MINUTE,
                    end_time=NOW + ends * MINUTE,
                )
                for begins, ends in pieces
            )
        db.flush()
        self.elsewhere = self.held(day.elsewhere, self.other)
        for name, value in day.whole.items():
            setattr(consultant, name, value)
        db.flush()
        self.taken = self.held(day.held_at, self.service_type)

    def held(self, steps: tuple[int, ...], service_type: ServiceType) -> list[datetime]:
        starts = [NOW + step * 15 * MINUTE for step in steps]
        return [start for start in starts if isinstance(self.hold(start, service_type), Reservation)]

    def hold(self, start: datetime, service_type: ServiceType | None = None) -> object:
        request = builders.request(self.db, (service_type or self.service_type).id)
        until = self.ctx.now + timedelta(days=9)
        return service.hold_start(self.db, self.ctx, request, self.who, start, until)

    def offered(self) -> set[datetime]:
        found = free_starts_by_consultant(
            self.db, [self.who], self.service_type.id, NOW - timedelta(days=1), NOW + timedelta(days=20), NOW
        )
        return {start for start, _ in found.get(self.who, [])}

    def can_be_held(self, start: datetime) -> bool:
        savepoint = self.db.begin_nested()
        taken = isinstance(self.hold(start), Reservation)
        savepoint.rollback()
        return taken


def _apart(spans_: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, int]]:
    """The spans that overlap none before them: PostgreSQL would refuse the others."""
    kept: list[tuple[int, int]] = []
    for one in spans_:
        if all(one[1] <= other[0] or other[1] <= one[0] for other in kept):
            kept.append(one)
            yield one


def expected(desk: Desk) -> set[datetime]:
    """Every start that the policies and the ledger leave, by looking at each minute of its session."""

    day, windows = desk.day, desk.windows

    def of(name: str) -> int:
        return day.policy(name) or 0

    length, before, after = (
        of(f"{name}_minutes") for name in ("default_duration", "buffer_before", "buffer_after")
    )
    open_ = {minute for begins, ends in windows for minute in range(begins, ends)}
    shut = {minute for begins, ends in day.blocks for minute in range(begins, ends)}
    for start in desk.taken:
        at = (start - NOW) // MINUTE
        shut |= set(range(at - before, at + length + after))
    for start in desk.elsewhere:
        at = (start - NOW) // MINUTE
        shut |= set(range(at, at + OTHER))
    everything = [(one, length) for one in desk.taken] + [(one, OTHER) for one in desk.elsewhere]
    found = set()
    for begins, ends in windows:
        for at in range(begins, ends, of("slot_step_minutes")):
            start = NOW + at * MINUTE
            if (
                at >= of("minimum_notice_minutes")
                and at < (day.policy("horizon_days") or 90) * 24 * 60
                and set(range(at, at + length)) <= open_
                and not set(range(at - before, at + length + after)) & shut
                and _within_limits(day, start, [(one, length) for one in desk.taken], length, day.policy)
                and _within_limits(day, start, everything, length, day.whole.get)
            ):
                found.add(start)
    return found


def _within_limits(
    day: Day,
    start: datetime,
    taken: list[tuple[datetime, int]],
    length: int,
    limit: Callable[[str], int | None],
) -> bool:
    zone = ZoneInfo(day.zone)

    def local(instant: datetime) -> date:
        return instant.astimezone(zone).date()

    same = {
        "day": [minutes for one, minutes in taken if local(one) == local(start)],
        "week": [
            minutes
            for one, minutes in taken
            if local(one).isocalendar()[:2] == local(start).isocalendar()[:2]
        ],
    }
    for period, others in same.items():
        most_sessions, most_minutes = (limit(f"max_{what}_per_{period}") for what in ("sessions", "minutes"))
        if most_sessions is not None and len(others) + 1 > most_sessions:
            return False
        if most_minutes is not None and sum(others) + length > most_minutes:
            return False
    return True


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(day=days, probes=st.lists(st.integers(0, 300), min_size=6, max_size=6))
def test_offered_and_bookable_are_the_same_and_what_the_reference_says(
    db: Session, ctx: Context, day: Day, probes: list[int]
) -> None:
    savepoint = db.begin_nested()
    desk = Desk(db, ctx, day)
    offered = desk.offered()
    assert offered == expected(desk)
    for start in [*sorted(offered)[:6], *(NOW + probe * 15 * MINUTE for probe in probes)]:
        assert desk.can_be_held(start) == (start in offered), start
    savepoint.rollback()
    db.expunge_all()


def test_a_day_is_the_consultants_own(db: Session, ctx: Context) -> None:
    """22:30 and 23:30 UTC are one day in New York and two in Vienna."""
    for zone, left in (("America/New_York", 0), ("Europe/Vienna", 1)):
        day = Day(
            zone,
            {"default_duration_minutes": 30, "slot_step_minutes": 60, "max_sessions_per_day": 1},
            {},
            windows=((13 * 60 + 30, 15 * 60),),
            blocks=(),
            held_at=(54,),
        )
        desk = Desk(db, ctx, day)
        assert len(desk.taken) == 1
        assert len(desk.offered()) == left


def test_a_booking_that_moves_does_not_count_against_its_own_limit(db: Session, ctx: Context) -> None:
    session = builders.booked_session(db)
    service_type = db.get_one(ServiceType, session.consultation_service_type_id)
    service_type.max_sessions_per_day = 1
    start = session.scheduled_start_time
    builders.window(db, session.consultant_user_id, start, hours=3)

    def free(ignored: UUID | None) -> int:
        found = free_starts_by_consultant(
            db,
            [session.consultant_user_id],
            service_type.id,
            start,
            start + timedelta(days=1),
            ctx.now,
            ignored,
        )
        return sum(map(len, found.values()))

    assert (free(None), free(session.id)) == (0, 5)
