"""What was seen, said and charged afterwards: messages of the evidence queue."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field, model_validator

from booking_tasks.contracts.base import Command, Contract, Instant, Line, Outcome, Prose, Queue
from booking_tasks.contracts.booking import SessionOutcome
from booking_tasks.enums import Attendance, EvidenceType, Party, RefusalCode

RecordAttendanceCode = Literal[RefusalCode.UNKNOWN_SESSION,]
RecordOutcomeCode = Literal[
    RefusalCode.UNKNOWN_SESSION,
    RefusalCode.NOT_ENDED,
    RefusalCode.CANCELLED,
]
RecordBillingCode = Literal[RefusalCode.UNKNOWN_SESSION,]


class Observation(Contract):
    """One thing seen of a room. `external_id` names it at its source, so that a repeat is one row."""

    evidence_type: EvidenceType
    observed_at: Instant
    party: Party | None = Field(None, description="Whose presence; only and always for joined and left.")
    external_id: Line

    @model_validator(mode="after")
    def _party_of_presence(self) -> Observation:
        if (self.evidence_type in {EvidenceType.JOINED, EvidenceType.LEFT}) != (self.party is not None):
            raise ValueError("party is needed for joined and left, and only for them")
        return self


class EvidenceOutcome(Outcome[RecordAttendanceCode]):
    """How many of the observations were new."""

    session_id: UUID | None = None
    recorded: int = 0


class RecordAttendance(Command[EvidenceOutcome]):
    """Tell what was observed of a session's room. Codes: `unknown_session`.

    Evidence that comes after the verdict is kept and changes nothing by itself; correct the verdict
    with record_outcome.
    """

    task: ClassVar[str] = "record_attendance"
    queue: ClassVar[Queue] = "evidence"
    outcome: ClassVar[type[Outcome]] = EvidenceOutcome

    session_id: UUID
    source: Line
    observations: Annotated[tuple[Observation, ...], Field(min_length=1, max_length=500)]


class RecordOutcome(Command[SessionOutcome[RecordOutcomeCode]]):
    """Notes after the session and, where needed, who really attended: the latter corrects the verdict.

    Codes: `unknown_session`, `not_ended`, `cancelled`.
    """

    task: ClassVar[str] = "record_outcome"
    queue: ClassVar[Queue] = "evidence"
    outcome: ClassVar[type[Outcome]] = SessionOutcome[RecordOutcomeCode]

    session_id: UUID
    notes: Prose | None = None
    requester_attendance: Literal[Attendance.ATTENDED, Attendance.ABSENT] | None = None
    consultant_attendance: Literal[Attendance.ATTENDED, Attendance.ABSENT] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> RecordOutcome:
        if self.notes is None and self.requester_attendance is None and self.consultant_attendance is None:
            raise ValueError("give notes or an attendance")
        return self


class RecordBilling(Command[SessionOutcome[RecordBillingCode]]):
    """What the billing service charged for a session, in its own currency. Codes: `unknown_session`."""

    task: ClassVar[str] = "record_billing"
    queue: ClassVar[Queue] = "evidence"
    outcome: ClassVar[type[Outcome]] = SessionOutcome[RecordBillingCode]

    session_id: UUID
    billed_amount: Annotated[Decimal, Field(ge=0, max_digits=10, decimal_places=2)]
