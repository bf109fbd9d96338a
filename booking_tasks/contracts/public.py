"""The contract of every public task by its short name."""

from __future__ import annotations

from typing import Any

from booking_tasks.contracts.absence import (
    AnswerProposal,
    ApplyAbsencePlan,
    PlanAbsence,
    ReassignSession,
    UndoAbsencePlan,
)
from booking_tasks.contracts.base import Query
from booking_tasks.contracts.booking import (
    CancelRequest,
    CancelSession,
    ConfirmRequest,
    DeclineRequest,
    RescheduleSession,
    SubmitRequest,
)
from booking_tasks.contracts.calendars import ListCalendarFeeds, RemoveCalendarFeed, SetCalendarFeed
from booking_tasks.contracts.catalogue import (
    SetConsultantPolicy,
    SetSpecializationAliases,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
)
from booking_tasks.contracts.evidence import RecordAttendance, RecordBilling, RecordOutcome
from booking_tasks.contracts.explaining import ExplainAssignment
from booking_tasks.contracts.holds import BookSeries, ConfirmHold, HoldSlot, ReleaseHold, RenewHold
from booking_tasks.contracts.hours import AddLeave, PreviewAvailability, RemoveLeave, SetAvailability
from booking_tasks.contracts.offers import AcceptOffer, DeclineOffer
from booking_tasks.contracts.people import ExportUser, ForgetUser
from booking_tasks.contracts.replies import ReceiveReply
from booking_tasks.contracts.search import SearchSlots

#: The contract of every public task by its short name: no other message is accepted.
PUBLIC: dict[str, type[Query[Any]]] = {
    contract.task: contract
    for contract in (
        UpsertServiceType,
        UpsertConsultant,
        SetSpecializationAliases,
        SetAvailability,
        AddLeave,
        RemoveLeave,
        PreviewAvailability,
        SetConsultantPolicy,
        UpsertUser,
        ForgetUser,
        ExportUser,
        SetCalendarFeed,
        RemoveCalendarFeed,
        ListCalendarFeeds,
        ReassignSession,
        PlanAbsence,
        ApplyAbsencePlan,
        UndoAbsencePlan,
        AnswerProposal,
        SearchSlots,
        HoldSlot,
        RenewHold,
        ReleaseHold,
        ConfirmHold,
        BookSeries,
        SubmitRequest,
        ExplainAssignment,
        ConfirmRequest,
        DeclineRequest,
        CancelRequest,
        AcceptOffer,
        DeclineOffer,
        RescheduleSession,
        CancelSession,
        RecordAttendance,
        RecordOutcome,
        RecordBilling,
        ReceiveReply,
    )
}
