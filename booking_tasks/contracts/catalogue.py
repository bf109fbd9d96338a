"""Who offers what, when, and who people are: commands of the admin queue."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from booking_tasks.contracts.base import (
    Command,
    Contract,
    Line,
    Outcome,
    Prose,
    Queue,
    Specializations,
    ZoneName,
)

#: Sessions or minutes; the largest is more than any week holds.
Limit = Annotated[int, Field(ge=1, le=20_000)]


class ServiceTypeOutcome(Outcome):
    """The service type as stored."""

    service_type_id: UUID | None = None


class UpsertServiceType(Command[ServiceTypeOutcome]):
    """Create or change a kind of consultation. Lengths and buffers in minutes of elapsed time.

    The limits hold for each consultant by itself and count this kind of session alone, held or booked, by
    the day on which it starts in the consultant's zone; weeks begin on Monday. None: no limit.

    Code when refused: `name_taken`.
    """

    task: ClassVar[str] = "upsert_service_type"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = ServiceTypeOutcome

    service_type_id: UUID
    name: Line
    description: Prose | None = None
    default_duration_minutes: int = Field(ge=1, le=1440)
    slot_step_minutes: int = Field(30, ge=1, le=1440)
    buffer_before_minutes: int = Field(0, ge=0, le=1440)
    buffer_after_minutes: int = Field(0, ge=0, le=1440)
    minimum_notice_minutes: int = Field(0, ge=0, le=525_600)
    horizon_days: int = Field(90, ge=1, le=730)
    requires_confirmation: bool = False
    max_sessions_per_day: Limit | None = None
    max_sessions_per_week: Limit | None = None
    max_minutes_per_day: Limit | None = None
    max_minutes_per_week: Limit | None = None
    is_active: bool = True


class PolicyOutcome(Outcome):
    """Whose policy it is, and for which kind of consultation."""

    consultant_user_id: UUID | None = None
    service_type_id: UUID | None = None


class SetConsultantPolicy(Command[PolicyOutcome]):
    """What one consultant does differently in one kind of consultation; None is as the kind says.

    The whole of it is replaced; all None takes it away. Sessions and holds stay as they are. Codes when
    refused: `unknown_consultant`, `unknown_service_type`.
    """

    task: ClassVar[str] = "set_consultant_policy"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = PolicyOutcome

    consultant_user_id: UUID
    service_type_id: UUID
    duration_minutes: int | None = Field(None, ge=1, le=1440)
    slot_step_minutes: int | None = Field(None, ge=1, le=1440)
    buffer_before_minutes: int | None = Field(None, ge=0, le=1440)
    buffer_after_minutes: int | None = Field(None, ge=0, le=1440)
    minimum_notice_minutes: int | None = Field(None, ge=0, le=525_600)
    horizon_days: int | None = Field(None, ge=1, le=730)
    requires_confirmation: bool | None = None
    max_sessions_per_day: Limit | None = None
    max_sessions_per_week: Limit | None = None
    max_minutes_per_day: Limit | None = None
    max_minutes_per_week: Limit | None = None


class ConsultantOutcome(Outcome):
    """The consultant as stored."""

    consultant_user_id: UUID | None = None


class UpsertConsultant(Command[ConsultantOutcome]):
    """Create or change a consultant's profile. Their hours are read in `time_zone`."""

    task: ClassVar[str] = "upsert_consultant"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = ConsultantOutcome

    consultant_user_id: UUID
    time_zone: ZoneName
    bio: Prose | None = None
    specializations: Specializations = ()
    is_available_for_booking: bool = True


class WeeklyHours(Contract):
    """Every week on one weekday (1 Monday to 7 Sunday, ISO 8601), wall-clock in the consultant's zone.

    An end at or before the start belongs to the next day; 00:00 to 00:00 is the whole day.
    """

    weekday: int = Field(ge=1, le=7)
    start: time
    end: time

    @field_validator("start", "end")
    @classmethod
    def _wall_clock(cls, value: time) -> time:
        return _wall_clock(value)

    @model_validator(mode="after")
    def _not_empty(self) -> WeeklyHours:
        _not_empty(self.start, self.end)
        return self


class SingleSlot(Contract):
    """Hours of one date only, wall-clock in the consultant's zone. Ends as in WeeklyHours."""

    day: date
    start: time
    end: time

    @field_validator("start", "end")
    @classmethod
    def _wall_clock(cls, value: time) -> time:
        return _wall_clock(value)

    @model_validator(mode="after")
    def _not_empty(self) -> SingleSlot:
        _not_empty(self.start, self.end)
        return self


def _wall_clock(value: time) -> time:
    if value.tzinfo is not None or value.microsecond:
        raise ValueError("must be a wall-clock time like 09:30, without offset or fractions")
    return value


def _not_empty(start: time, end: time) -> None:
    if start == end and start != time(0):
        raise ValueError("start and end are equal; write 00:00 to 00:00 for a whole day")


class AvailabilityOutcome(Outcome):
    """What the change did to the windows of the horizon."""

    windows_added: int = 0
    windows_removed: int = 0
    uncovered_session_ids: tuple[UUID, ...] = Field(
        (), description="Sessions that the new hours no longer cover: listed, never moved."
    )


class SetAvailability(Command[AvailabilityOutcome]):
    """Replace a consultant's declared hours. Sessions already booked stay as they are.

    Codes when refused: `unknown_consultant`, `overlapping_hours`.
    """

    task: ClassVar[str] = "set_availability"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = AvailabilityOutcome

    consultant_user_id: UUID
    weekly: Annotated[tuple[WeeklyHours, ...], Field(max_length=70)] = ()
    single: Annotated[tuple[SingleSlot, ...], Field(max_length=400)] = ()


class UserOutcome(Outcome):
    """The person as stored."""

    user_id: UUID | None = None


class UpsertUser(Command[UserOutcome]):
    """Tell the directory how to reach and address a person: requester or consultant."""

    task: ClassVar[str] = "upsert_user"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = UserOutcome

    user_id: UUID
    name: Line
    email: Annotated[
        str,
        Field(max_length=254, pattern=r"^[!#$%&'*+./=?^_`{|}~A-Za-z0-9-]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+$"),
    ]
    time_zone: ZoneName
    language: Literal["en", "de"] = "en"
