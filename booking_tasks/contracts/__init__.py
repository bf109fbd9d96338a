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
    FreeStart,
    RequestOutcome,
    RescheduleSession,
    SearchOutcome,
    SearchSlots,
    SessionOutcome,
    SubmitRequest,
)
from booking_tasks.contracts.calendars import (
    CalendarFeedOutcome,
    CalendarFeedsOutcome,
    CalendarFeedState,
    CoveredSession,
    ListCalendarFeeds,
    RemoveCalendarFeed,
    SetCalendarFeed,
)
from booking_tasks.contracts.catalogue import (
    AvailabilityOutcome,
    ConsultantOutcome,
    ServiceTypeOutcome,
    SetAvailability,
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

#: Every public task, by its short name: the whole inbound surface.
PUBLIC: dict[str, type[Query[Any]]] = {
    contract.task: contract
    for contract in (
        UpsertServiceType,
        UpsertConsultant,
        SetAvailability,
        UpsertUser,
        SetCalendarFeed,
        RemoveCalendarFeed,
        ListCalendarFeeds,
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
    "CalendarFeedOutcome",
    "CalendarFeedState",
    "CalendarFeedsOutcome",
    "CancelRequest",
    "CancelSession",
    "CloudEvent",
    "Command",
    "ConfirmRequest",
    "ConsultantOutcome",
    "Contract",
    "CoveredSession",
    "DeclineRequest",
    "EvidenceOutcome",
    "FieldError",
    "FreeStart",
    "ListCalendarFeeds",
    "Observation",
    "Outcome",
    "Query",
    "Queue",
    "RecordAttendance",
    "RecordBilling",
    "RecordOutcome",
    "RemoveCalendarFeed",
    "RequestOutcome",
    "RescheduleSession",
    "SearchOutcome",
    "SearchSlots",
    "ServiceTypeOutcome",
    "SessionOutcome",
    "SetAvailability",
    "SetCalendarFeed",
    "SingleSlot",
    "SubmitRequest",
    "UpsertConsultant",
    "UpsertServiceType",
    "UpsertUser",
    "UserOutcome",
    "WeeklyHours",
    "field_errors",
]
