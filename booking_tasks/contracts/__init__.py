"""Every message in and out, versioned. Producers need nothing else of this package."""

from __future__ import annotations

from typing import Any

from booking_tasks.contracts.base import (
    TASK_PREFIX,
    Command,
    Contract,
    FieldError,
    Outcome,
    Query,
    Queue,
    field_errors,
)
from booking_tasks.contracts.booking import (
    CancelRequest,
    CancelSession,
    ConfirmRequest,
    DeclineRequest,
    RequestOutcome,
    RescheduleSession,
    SessionOutcome,
    SubmitRequest,
)
from booking_tasks.contracts.catalogue import (
    AvailabilityOutcome,
    ConsultantOutcome,
    PolicyOutcome,
    ServiceTypeOutcome,
    SetAvailability,
    SetConsultantPolicy,
    SingleSlot,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
    UserOutcome,
    WeeklyHours,
)
from booking_tasks.contracts.events import CloudEvent
from booking_tasks.contracts.evidence import (
    EvidenceOutcome,
    Observation,
    RecordAttendance,
    RecordBilling,
    RecordOutcome,
)
from booking_tasks.contracts.search import (
    FreeStart,
    NothingBecause,
    SearchOutcome,
    SearchSlots,
    cursor_after,
    cursor_place,
)

#: Every public task, by its short name: the whole inbound surface.
PUBLIC: dict[str, type[Query[Any]]] = {
    contract.task: contract
    for contract in (
        UpsertServiceType,
        UpsertConsultant,
        SetAvailability,
        SetConsultantPolicy,
        UpsertUser,
        SearchSlots,
        SearchSlots,
        SubmitRequest,
        ConfirmRequest,
        DeclineRequest,
        CancelRequest,
        RescheduleSession,
        CancelSession,
        RecordAttendance,
        RecordOutcome,
        RecordBilling,
    )
}

__all__ = [
    "PUBLIC",
    "TASK_PREFIX",
    "AvailabilityOutcome",
    "CancelRequest",
    "CancelSession",
    "CloudEvent",
    "Command",
    "ConfirmRequest",
    "ConsultantOutcome",
    "Contract",
    "DeclineRequest",
    "EvidenceOutcome",
    "FieldError",
    "FreeStart",
    "NothingBecause",
    "Observation",
    "Outcome",
    "PolicyOutcome",
    "Query",
    "Queue",
    "RecordAttendance",
    "RecordBilling",
    "RecordOutcome",
    "RequestOutcome",
    "RescheduleSession",
    "SearchOutcome",
    "SearchSlots",
    "ServiceTypeOutcome",
    "SessionOutcome",
    "SetAvailability",
    "SetConsultantPolicy",
    "SingleSlot",
    "SubmitRequest",
    "UpsertConsultant",
    "UpsertServiceType",
    "UpsertUser",
    "UserOutcome",
    "WeeklyHours",
    "cursor_after",
    "cursor_place",
    "field_errors",
]
