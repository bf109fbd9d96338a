"""Hours and leave of consultants, and the preview of a change: messages of the admin queue.

All times are wall-clock times in the consultant's zone, without offset; docs/availability.md explains what
they mean when clocks change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, ClassVar, Generic, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from booking_tasks.contracts.base import (
    CodeT_co,
    Command,
    Contract,
    HolidayRegion,
    Instant,
    Outcome,
    PublicQueue,
    Query,
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


#: The longest window: a week of wall-clock time.
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


#: The end of a day as people write it: 24:00 alone, or with its date.
_END_OF_DAY = re.compile(r"(?:(\d{4}-\d\d-\d\d)[T ])?24:00(?::00)?")


def _end_of_day(value: object) -> object:
    """Return the next midnight for 24:00, which is not a time of Python; any other value as it is."""
    found = _END_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    if found[1] is None:
        return "00:00"
    try:
        return datetime.combine(date.fromisoformat(found[1]) + timedelta(days=1), time())
    except (ValueError, OverflowError):
        return value


def _in_use(value: date) -> date:
    if not 2000 <= value.year <= 2080:
        raise ValueError("must lie between the years 2000 and 2080")
    return value


def _rule(value: str) -> str:
    parts_of(value)
    return value


WallClock = Annotated[time, AfterValidator(_wall_clock)]
#: An end of hours on one day; 24:00 is the midnight after it.
WallClockEnd = Annotated[WallClock, BeforeValidator(_end_of_day)]
Day = Annotated[date, AfterValidator(_in_use)]
LocalMoment = Annotated[datetime, AfterValidator(_local), AfterValidator(_in_use)]
#: An end in wall-clock time; 2027-03-08T24:00 is the midnight after that day.
LocalEnd = Annotated[LocalMoment, BeforeValidator(_end_of_day)]
RecurrenceRule = Annotated[str, Field(max_length=500), AfterValidator(_rule)]


class DayHours(Contract):
    """Hours from `start` to `end`; an end at or before the start belongs to the next day.

    00:00 to 24:00, or to 00:00, is the whole day.
    """

    start: WallClock
    end: WallClockEnd

    @model_validator(mode="after")
    def _not_empty(self) -> DayHours:
        if self.start == self.end and self.start != time(0):
            raise ValueError("start and end are equal; write 00:00 to 00:00 for a whole day")
        return self


class WeeklyHours(DayHours):
    """Hours of one weekday (1 Monday to 7 Sunday, ISO 8601), in the consultant's zone."""

    weekday: int = Field(ge=1, le=7)


class SingleSlot(DayHours):
    """Additional hours of one date; they count on a public holiday too."""

    day: date


class RecurringHours(Contract):
    """Hours that recur by RFC 5545: RRULE from `start` on, with `rdates` added and `exdates` removed.

    `end` (of the first) or `duration_minutes` is the duration of each, in wall-clock time. Without `rrule`
    they are at `start` and at `rdates`. UNTIL is inclusive; in UTC (with Z) or wall-clock.
    """

    start: LocalMoment
    end: LocalEnd | None = None
    duration_minutes: int | None = Field(None, ge=1, le=10_080)
    rrule: RecurrenceRule | None = None
    rdates: Annotated[tuple[LocalMoment, ...], Field(max_length=400)] = ()
    exdates: Annotated[tuple[LocalMoment, ...], Field(max_length=400)] = ()

    @property
    def length(self) -> timedelta:
        """The duration of each, in wall-clock time."""
        if self.end is not None:
            return self.end - self.start
        return timedelta(minutes=self.duration_minutes or 0)

    @model_validator(mode="after")
    def _lasts(self) -> RecurringHours:
        if (self.end is None) == (self.duration_minutes is None):
            raise ValueError("set either end or duration_minutes")
        if not timedelta(0) < self.length <= LONGEST_WINDOW:
            raise ValueError("end must lie after start, by seven days at most")
        return self


class RuleSet(Contract):
    """Hours that replace the usual ones from `valid_from` to `valid_until`, both included.

    Of several in force, the one that begins last counts.
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
    """Hours that replace all others on one date; without hours it is a day off."""

    day: Day
    hours: Annotated[tuple[DayHours, ...], Field(max_length=20)] = ()


class Travel(Contract):
    """Days from `first_day` to `last_day`, both included, on which the hours are in another zone."""

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
    """All declared hours of a consultant; each use replaces the stored ones."""

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


UncoveredReason = Literal[
    "not_available_for_booking",
    "service_type_inactive",
    "service_not_offered",
    "hours",
    "holiday",
    "leave",
    "outside_calendar",
    "blocked",
]


class UncoveredSession(Contract):
    """A future session that could not be booked any more, with the reason.

    The consultant takes no bookings or not of this service type, the service type is inactive, or the session
    is outside the hours or in time that is blocked.
    """

    session_id: UUID
    reason: UncoveredReason


class AvailabilityOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """The effect of the change on the windows of the horizon."""

    windows_added: int = 0
    windows_removed: int = 0
    uncovered_session_ids: tuple[UUID, ...] = Field(
        (), description="Sessions that the hours no longer cover; they are not moved."
    )
    uncovered: tuple[UncoveredSession, ...] = Field((), description="The same sessions, with the reason.")


class SetAvailability(Hours, Command[AvailabilityOutcome[SetAvailabilityCode]]):
    """Replace a consultant's declared hours; booked sessions stay as they are.

    Codes when refused: `unknown_consultant`, `overlapping_hours`, `never_happens` (a rule without any
    date in the ten years from its start).
    """

    task: ClassVar[str] = "set_availability"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = AvailabilityOutcome[SetAvailabilityCode]

    consultant_user_id: UUID


class LeaveTime(Contract):
    """A leave from `start` until `end`, in wall-clock time; whole days are from midnight to midnight."""

    start: LocalMoment
    end: LocalEnd

    @model_validator(mode="after")
    def _in_order(self) -> LeaveTime:
        if self.end <= self.start:
            raise ValueError("end must lie after start")
        return self


class AddLeave(LeaveTime, Command[AvailabilityOutcome[AddLeaveCode]]):
    """Add a leave of a consultant; sessions in it are listed and not moved.

    `plan_absence` with the same `leave_id` shows what can happen to them. Codes when refused:
    `unknown_consultant`, `leave_exists` (the leave_id is used for another leave).
    """

    task: ClassVar[str] = "add_leave"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = AvailabilityOutcome[AddLeaveCode]

    leave_id: UUID
    consultant_user_id: UUID
    reason: Reason


class RemoveLeave(Command[AvailabilityOutcome[RemoveLeaveCode]]):
    """Remove a leave. Codes when refused: `unknown_consultant`, `unknown_leave`."""

    task: ClassVar[str] = "remove_leave"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = AvailabilityOutcome[RemoveLeaveCode]

    leave_id: UUID
    consultant_user_id: UUID


class TimeSpan(Contract):
    """A time from one instant until another, which is excluded."""

    start: Instant
    end: Instant


class PreviewOutcome(Outcome[PreviewCode]):
    """What would change; lists are in order of time and end at `limit`, the counts do not.

    `slots` are the starts of the service type within the hours, without leave; bookings, notice and limits
    are ignored.
    """

    added_count: int = 0
    removed_count: int = 0
    added: tuple[TimeSpan, ...] = ()
    removed: tuple[TimeSpan, ...] = ()
    orphaned: tuple[UncoveredSession, ...] = Field(
        (), description="Sessions that are covered now and would not be, with the reason."
    )
    slots: tuple[TimeSpan, ...] = ()


class PreviewAvailability(Query[PreviewOutcome]):
    """Preview other hours, more or less leave, another zone or region; nothing is changed.

    Fields that are not set have their stored values. Codes when refused: those of `set_availability`,
    `unknown_leave`, `unknown_holiday_region`, `unknown_service_type`.
    """

    task: ClassVar[str] = "preview_availability"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = PreviewOutcome

    consultant_user_id: UUID
    hours: Hours | None = None
    added_leave: Annotated[tuple[LeaveTime, ...], Field(max_length=50)] = ()
    removed_leave_ids: Annotated[tuple[UUID, ...], Field(max_length=50)] = ()
    time_zone: ZoneName | None = None
    holiday_region: HolidayRegion | None = None
    service_type_id: UUID | None = None
    limit: int = Field(50, ge=1, le=500)
