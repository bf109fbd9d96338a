"""Attendance, outcome and billing of sessions: commands of the evidence queue."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from booking_tasks.contracts.base import Command, Contract, Instant, Line, Outcome, Prose, PublicQueue
from booking_tasks.contracts.booking import SessionOutcome
from booking_tasks.enums import Attendance, EvidenceType, Party, RefusalCode
from booking_tasks.kit.currencies import MINOR_UNITS, amount_of, minor_units

RecordAttendanceCode = Literal[RefusalCode.UNKNOWN_SESSION,]
RecordOutcomeCode = Literal[
    RefusalCode.UNKNOWN_SESSION,
    RefusalCode.NOT_ENDED,
    RefusalCode.CANCELLED,
]
RecordBillingCode = Literal[
    RefusalCode.UNKNOWN_SESSION,
    RefusalCode.NOT_STARTED,
    RefusalCode.CANCELLED,
    RefusalCode.ATTENDANCE_UNKNOWN,
]


def _active_currency(code: str) -> str:
    if code not in MINOR_UNITS:
        raise ValueError("is no active currency of ISO 4217; write its three capital letters, like EUR")
    return code


Currency = Annotated[str, AfterValidator(_active_currency)]


class Observation(Contract):
    """One observation of a room; its source names it by `external_id`, so that a repeat is one row."""

    evidence_type: EvidenceType
    observed_at: Instant
    party: Party | None = Field(None, description="The side that joined or left; not set for other types.")
    external_id: Line

    @model_validator(mode="after")
    def _party_of_presence(self) -> Observation:
        if (self.evidence_type in {EvidenceType.JOINED, EvidenceType.LEFT}) != (self.party is not None):
            raise ValueError("party is needed for joined and left, and only for them")
        return self


class EvidenceOutcome(Outcome[RecordAttendanceCode]):
    """The number of observations that were new."""

    session_id: UUID | None = None
    recorded: int = 0


class RecordAttendance(Command[EvidenceOutcome]):
    """Record what was observed of a session's room. Codes: `unknown_session`.

    Evidence that arrives after the verdict is kept and changes nothing; correct the verdict with
    record_outcome.
    """

    task: ClassVar[str] = "record_attendance"
    queue: ClassVar[PublicQueue] = "evidence"
    outcome: ClassVar[type[Outcome]] = EvidenceOutcome

    session_id: UUID
    source: Line
    observations: Annotated[tuple[Observation, ...], Field(min_length=1, max_length=500)]


class RecordOutcome(Command[SessionOutcome[RecordOutcomeCode]]):
    """Record notes after the session and, to correct the verdict, who attended.

    Codes: `unknown_session`, `not_ended`, `cancelled`.
    """

    task: ClassVar[str] = "record_outcome"
    queue: ClassVar[PublicQueue] = "evidence"
    outcome: ClassVar[type[Outcome]] = SessionOutcome[RecordOutcomeCode]

    session_id: UUID
    notes: Prose | None = None
    requester_attendance: Literal[Attendance.ATTENDED, Attendance.ABSENT] | None = None
    consultant_attendance: Literal[Attendance.ATTENDED, Attendance.ABSENT] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> RecordOutcome:
        if self.notes is None and self.requester_attendance is None and self.consultant_attendance is None:
            raise ValueError("set notes or an attendance")
        return self


class RecordBilling(Command[SessionOutcome[RecordBillingCode]]):
    """Record what the billing service charged for a session.

    `currency` is a code of ISO 4217, and `billed_amount` has no more decimals than its minor unit: none in
    JPY, three in KWD. Another amount or currency later corrects what was recorded.

    Codes: `unknown_session`, `not_started`, `cancelled`, and `attendance_unknown` until record_outcome says
    who attended.
    """

    task: ClassVar[str] = "record_billing"
    queue: ClassVar[PublicQueue] = "evidence"
    outcome: ClassVar[type[Outcome]] = SessionOutcome[RecordBillingCode]

    session_id: UUID
    currency: Currency
    billed_amount: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]

    @field_validator("billed_amount")
    @classmethod
    def _in_minor_units(cls, amount: Decimal, info: ValidationInfo) -> Decimal:
        currency = info.data.get("currency")  # None: its own value is wrong
        return amount if currency is None else amount_of(minor_units(amount, currency), currency)
