"""When a consultant works: hours, leave, and what a change of them would do. Messages of the admin queue.

All times are wall-clock times in the consultant's zone, without offset; docs/availability.md says what
they mean when clocks change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, ClassVar, Generic, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, field_validator, model_validator

from booking_tasks.contracts.base import (
    CodeT_co,
    Command,
    Contract,
    HolidayRegion,
    Instant,
    Outcome,
    Query,
    Queue,
    Reason,
    ZoneName,
)
from booking_tasks.contracts.recurrence import parts_of
from booking_tasks.enums import RefusalCode

#: What can be wrong with declared hours.
FaultCode = Literal[RefusalCode.OVERLAPPING_HOURS, RefusalCode.NEVER_HAPPENS]
SetAvailabilityCode = Literal[FaultCode, RefusalCode.UNKNOWN_CONSULTANT]
AddLeaveCode = Literal[
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.LEAVE_EXISTS,
]
RemoveLeaveCode = Literal[
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.UNKNOWN_LEAVE,
]
PreviewCode = Literal[
    FaultCode,
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.UNKNOWN_LEAVE,
    RefusalCode.UNKNOWN_HOLIDAY_REGION,
    RefusalCode.UNKNOWN_SERVICE_TYPE,
]


#: No window is longer than a week of wall-clock time.
LONGEST_WINDOW = timedelta(days=7)
_MOST_RECURRING = 100


def _wall_clock(value: time) -> time:
    if value.tzinfo is not None or value.microsecond:
        raise ValueError("must be a wall-clock time like 09:30, without offset or fractions")
    return value


def _local(value: datetime) -> datetime:
    if value.tzinfo is not None or value.microsecond:
        raise ValueError("must be a wall-clock moment like 2027-03-01T09:30:00, without offset or fractions")
    return value


def _in_use(value: date) -> date:
    if not 2000 <= value.year <= 2080:
        raise ValueError("must lie between the years 2000 and 2080")
    return value


def _rule(value: str) -> str:
    parts_of(value)
    return value


WallClock = Annotated[time, AfterValidator(_wall_clock)]
Day = Annotated[date, AfterValidator(_in_use)]
LocalMoment = Annotated[datetime, AfterValidator(_local), AfterValidator(_in_use)]
RecurrenceRule = Annotated[str, Field(max_length=500), AfterValidator(_rule)]


class DayHours(Contract):
    """From `start` to `end`. An end at or before the start belongs to the next day;

    00:00 to 00:00 is the whole day.
    """

    start: WallClock
    end: WallClock

    @model_validator(mode="after")
    def _not_empty(self) -> DayHours:
        if self.start == self.end and self.start != time(0):
            raise ValueError("start and end are equal; write 00:00 to 00:00 for a whole day")
        return self


class WeeklyHours(DayHours):
    """Every week on one weekday (1 Monday to 7 Sunday, ISO 8601), wall-clock in the consultant's zone."""

    weekday: int = Field(ge=1, le=7)


class SingleSlot(DayHours):
    """Hours of one date, beside those of the week; they count on a public holiday too."""

    day: date


class RecurringHours(Contract):
    """Hours that recur as RFC 5545 says: RRULE from `start` on, with `rdates` added and `exdates` left out.

    How long each lasts is said by `end` (of the first) or `duration_minutes`, in wall-clock time. Without
    `rrule` they are at `start` and at `rdates`. UNTIL is inclusive; in UTC (with Z) or wall-clock.
    """

    start: LocalMoment
    end: LocalMoment | None = None
    duration_minutes: int | None = Field(None, ge=1, le=10_080)
    rrule: RecurrenceRule | None = None
    rdates: Annotated[tuple[LocalMoment, ...], Field(max_length=400)] = ()
    exdates: Annotated[tuple[LocalMoment, ...], Field(max_length=400)] = ()

    @property
    def length(self) -> timedelta:
        """How long each lasts, wall-clock."""
        if self.end is not None:
            return self.end - self.start
        return timedelta(minutes=self.duration_minutes or 0)

    @model_validator(mode="after")
    def _lasts(self) -> RecurringHours:
        if (self.end is None) == (self.duration_minutes is None):
            raise ValueError("give either end or duration_minutes")
        if not timedelta(0) < self.length <= LONGEST_WINDOW:
            raise ValueError("end must lie after start, by seven days at most")
        return self


class RuleSet(Contract):
    """Hours in the place of the usual ones on the days from `valid_from` to `valid_until`, both included.

    Where several are in force the one that begins last counts.
    """

    valid_from: Day
    valid_until: Day | None = None
    weekly: Annotated[tuple[WeeklyHours, ...], Field(max_length=70)] = ()
    recurring: Annotated[tuple[RecurringHours, ...], Field(max_length=_MOST_RECURRING)] = ()

    @model_validator(mode="after")
    def _in_order(self) -> RuleSet:
        _ends_after(self.valid_from, self.valid_until, "valid_until", "valid_from")
        return self


class DateOverride(Contract):
    """What counts on one date instead of everything else; no hours: a day off."""

    day: Day
    hours: Annotated[tuple[DayHours, ...], Field(max_length=20)] = ()


class Travel(Contract):
    """Hours are read in another zone on the days from `first_day` to `last_day`, both included."""

    first_day: Day
    last_day: Day
    time_zone: ZoneName

    @model_validator(mode="after")
    def _in_order(self) -> Travel:
        _ends_after(self.first_day, self.last_day, "last_day", "first_day")
        return self


def _ends_after(first: date, last: date | None, last_name: str, first_name: str) -> None:
    if last is not None and last < first:
        raise ValueError(f"{last_name} must not lie before {first_name}")


class Hours(Contract):
    """Everything a consultant declares about when they work. Each use replaces what was there."""

    weekly: Annotated[tuple[WeeklyHours, ...], Field(max_length=70)] = ()
    single: Annotated[tuple[SingleSlot, ...], Field(max_length=400)] = ()
    recurring: Annotated[tuple[RecurringHours, ...], Field(max_length=_MOST_RECURRING)] = ()
    rule_sets: Annotated[tuple[RuleSet, ...], Field(max_length=50)] = ()
    overrides: Annotated[tuple[DateOverride, ...], Field(max_length=400)] = ()
    travel: Annotated[tuple[Travel, ...], Field(max_length=100)] = ()

    @field_validator("rule_sets")
    @classmethod
    def _begin_apart(cls, value: tuple[RuleSet, ...]) -> tuple[RuleSet, ...]:
        _each_once((one.valid_from for one in value), "two rule sets begin on {}; join them")
        return value

    @field_validator("overrides")
    @classmethod
    def _one_a_day(cls, value: tuple[DateOverride, ...]) -> tuple[DateOverride, ...]:
        _each_once((one.day for one in value), "{} is overridden twice; join them")
        return value

    @field_validator("travel")
    @classmethod
    def _one_place_at_a_time(cls, value: tuple[Travel, ...]) -> tuple[Travel, ...]:
        for one, other in pairwise(sorted(value, key=lambda stay: stay.first_day)):
            if other.first_day <= one.last_day:
                raise ValueError(f"two zones on {other.first_day}; end the first stay before it")
        return value

    @model_validator(mode="after")
    def _not_too_many(self) -> Hours:
        if len(self.recurring) + sum(len(one.recurring) for one in self.rule_sets) > _MOST_RECURRING:
            raise ValueError(f"at most {_MOST_RECURRING} recurring hours in all; join some")
        return self


def _each_once(days: Iterable[date], problem: str) -> None:
    day, count = next(iter(Counter(days).most_common(1)), (None, 0))
    if count > 1:
        raise ValueError(problem.format(day))


UncoveredReason = Literal["hours", "holiday", "leave", "outside_calendar", "blocked"]


class UncoveredSession(Contract):
    """A session ahead that lies outside the hours, or in time that is taken otherwise, and why."""

    session_id: UUID
    reason: UncoveredReason


class AvailabilityOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """What the change did to the windows of the horizon."""

    windows_added: int = 0
    windows_removed: int = 0
    uncovered_session_ids: tuple[UUID, ...] = Field(
        (), description="Sessions that hours and leave no longer cover: listed, never moved."
    )
    uncovered: tuple[UncoveredSession, ...] = Field((), description="The same sessions, and why.")


class SetAvailability(Hours, Command[AvailabilityOutcome[SetAvailabilityCode]]):
    """Replace a consultant's declared hours. Sessions already booked stay as they are.

    Codes when refused: `unknown_consultant`, `overlapping_hours`, `never_happens` (a rule without any
    date in the ten years from its start).
    """

    task: ClassVar[str] = "set_availability"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = AvailabilityOutcome[SetAvailabilityCode]

    consultant_user_id: UUID


class LeaveTime(Contract):
    """Away from `start` until `end`, wall-clock; whole days from midnight to midnight."""

    start: LocalMoment
    end: LocalMoment

    @model_validator(mode="after")
    def _in_order(self) -> LeaveTime:
        if self.end <= self.start:
            raise ValueError("end must lie after start")
        return self


class AddLeave(LeaveTime, Command[AvailabilityOutcome[AddLeaveCode]]):
    """Take a consultant's time away, for a reason. Sessions in it are listed, never moved: `plan_absence`

    with the same `leave_id` shows what can become of them.

    Codes when refused: `unknown_consultant`, `leave_exists` (the leave_id is used otherwise).
    """

    task: ClassVar[str] = "add_leave"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = AvailabilityOutcome[AddLeaveCode]

    leave_id: UUID
    consultant_user_id: UUID
    reason: Reason


class RemoveLeave(Command[AvailabilityOutcome[RemoveLeaveCode]]):
    """Give the time of a leave back. Codes when refused: `unknown_consultant`, `unknown_leave`."""

    task: ClassVar[str] = "remove_leave"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = AvailabilityOutcome[RemoveLeaveCode]

    leave_id: UUID
    consultant_user_id: UUID


class TimeSpan(Contract):
    """From an instant until another, which is not part of it."""

    start: Instant
    end: Instant


class PreviewOutcome(Outcome[PreviewCode]):
    """What would change. Lists are cut at `limit`, in order of time; the counts are whole.

    `slots` are the starts that the hours give to the service type, leave taken out; bookings, notice and
    limits are not looked at.
    """

    added_count: int = 0
    removed_count: int = 0
    added: tuple[TimeSpan, ...] = ()
    removed: tuple[TimeSpan, ...] = ()
    orphaned: tuple[UncoveredSession, ...] = Field(
        (), description="Sessions that are covered now and would be no longer, and why."
    )
    slots: tuple[TimeSpan, ...] = ()


class PreviewAvailability(Query[PreviewOutcome]):
    """What other hours, more or less leave, another zone or region would do. Changes nothing.

    What is left out stays as it is stored. Codes when refused: those of `set_availability`,
    `unknown_leave`, `unknown_holiday_region`, `unknown_service_type`.
    """

    task: ClassVar[str] = "preview_availability"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = PreviewOutcome

    consultant_user_id: UUID
    hours: Hours | None = None
    added_leave: Annotated[tuple[LeaveTime, ...], Field(max_length=50)] = ()
    removed_leave_ids: Annotated[tuple[UUID, ...], Field(max_length=50)] = ()
    time_zone: ZoneName | None = None
    holiday_region: HolidayRegion | None = None
    service_type_id: UUID | None = None
    limit: int = Field(50, ge=1, le=500)
