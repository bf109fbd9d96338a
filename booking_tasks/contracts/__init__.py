"""Every inbound and outbound message, versioned; producers need nothing else of this package.

A name is imported from its module when it is first used, because a caller sends a few of the messages, and
making the classes of all takes as long as importing Celery.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from booking_tasks.contracts.absence import (
        MOST_SESSIONS,
        AbsencePlanOutcome,
        AbsenceStep,
        AnswerProposal,
        ApplyAbsencePlan,
        ChosenConsultant,
        PlanAbsence,
        ReassignOutcome,
        ReassignSession,
        UndoAbsencePlan,
    )
    from booking_tasks.contracts.base import (
        TASK_PREFIX,
        Command,
        Contract,
        FieldError,
        Outcome,
        OutcomeWarning,
        PublicQueue,
        Query,
        field_errors,
    )
    from booking_tasks.contracts.booking import (
        CancelRequest,
        CancelSession,
        ConfirmRequest,
        DeclineRequest,
        FallbackCost,
        RequestOutcome,
        RescheduleSession,
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
        AliasEntry,
        AliasesOutcome,
        ConsultantOutcome,
        PolicyOutcome,
        ServiceTypeOutcome,
        SetConsultantPolicy,
        SetSpecializationAliases,
        TermWeights,
        UpsertConsultant,
        UpsertServiceType,
        UpsertUser,
        UserOutcome,
    )
    from booking_tasks.contracts.events import CloudEvent
    from booking_tasks.contracts.evidence import (
        EvidenceOutcome,
        Observation,
        RecordAttendance,
        RecordBilling,
        RecordOutcome,
    )
    from booking_tasks.contracts.explaining import (
        Considered,
        Decision,
        ExplainAssignment,
        ExplainOutcome,
    )
    from booking_tasks.contracts.holds import (
        LONGEST_HOLD,
        BookSeries,
        ConfirmHold,
        Conflict,
        HoldOutcome,
        HoldSlot,
        ReleaseHold,
        RenewHold,
        SeriesOutcome,
        SeriesSession,
        Weekly,
    )
    from booking_tasks.contracts.hours import (
        AddLeave,
        AvailabilityOutcome,
        DateOverride,
        DayHours,
        Hours,
        LeaveTime,
        PreviewAvailability,
        PreviewOutcome,
        RecurringHours,
        RemoveLeave,
        RuleSet,
        SetAvailability,
        SingleSlot,
        TimeSpan,
        Travel,
        UncoveredReason,
        UncoveredSession,
        WeeklyHours,
    )
    from booking_tasks.contracts.offers import AcceptOffer, DeclineOffer
    from booking_tasks.contracts.people import (
        ExportUser,
        ExportUserOutcome,
        ForgetUser,
        ForgetUserOutcome,
    )
    from booking_tasks.contracts.public import PUBLIC
    from booking_tasks.contracts.replies import ReceiveReply, ReplyOutcome
    from booking_tasks.contracts.search import (
        EmptyReason,
        FreeStart,
        SearchOutcome,
        SearchSlots,
        cursor_after,
        cursor_place,
    )

#: The names of each module of this package.
_NAMES = {
    "absence": (
        "MOST_SESSIONS AbsencePlanOutcome AbsenceStep AnswerProposal ApplyAbsencePlan "
        "ChosenConsultant PlanAbsence ReassignOutcome ReassignSession UndoAbsencePlan"
    ),
    "base": "TASK_PREFIX Command Contract FieldError Outcome OutcomeWarning PublicQueue Query field_errors",
    "booking": (
        "CancelRequest CancelSession ConfirmRequest DeclineRequest FallbackCost RequestOutcome "
        "RescheduleSession SessionOutcome SubmitRequest"
    ),
    "calendars": (
        "CalendarFeedOutcome CalendarFeedsOutcome CalendarFeedState CoveredSession "
        "ListCalendarFeeds RemoveCalendarFeed SetCalendarFeed"
    ),
    "catalogue": (
        "AliasEntry AliasesOutcome ConsultantOutcome PolicyOutcome ServiceTypeOutcome "
        "SetConsultantPolicy SetSpecializationAliases TermWeights UpsertConsultant "
        "UpsertServiceType UpsertUser UserOutcome"
    ),
    "events": "CloudEvent",
    "evidence": "EvidenceOutcome Observation RecordAttendance RecordBilling RecordOutcome",
    "explaining": "Considered Decision ExplainAssignment ExplainOutcome",
    "holds": (
        "LONGEST_HOLD BookSeries ConfirmHold Conflict HoldOutcome HoldSlot ReleaseHold RenewHold "
        "SeriesOutcome SeriesSession Weekly"
    ),
    "hours": (
        "AddLeave AvailabilityOutcome DateOverride DayHours Hours LeaveTime PreviewAvailability "
        "PreviewOutcome RecurringHours RemoveLeave RuleSet SetAvailability SingleSlot TimeSpan "
        "Travel UncoveredReason UncoveredSession WeeklyHours"
    ),
    "offers": "AcceptOffer DeclineOffer",
    "people": "ExportUser ExportUserOutcome ForgetUser ForgetUserOutcome",
    "replies": "ReceiveReply ReplyOutcome",
    "search": "EmptyReason FreeStart SearchOutcome SearchSlots cursor_after cursor_place",
    "public": "PUBLIC",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "LONGEST_HOLD",
    "MOST_SESSIONS",
    "PUBLIC",
    "TASK_PREFIX",
    "AbsencePlanOutcome",
    "AbsenceStep",
    "AcceptOffer",
    "AddLeave",
    "AliasEntry",
    "AliasesOutcome",
    "AnswerProposal",
    "ApplyAbsencePlan",
    "AvailabilityOutcome",
    "BookSeries",
    "CalendarFeedOutcome",
    "CalendarFeedState",
    "CalendarFeedsOutcome",
    "CancelRequest",
    "CancelSession",
    "ChosenConsultant",
    "CloudEvent",
    "Command",
    "ConfirmHold",
    "ConfirmRequest",
    "Conflict",
    "Considered",
    "ConsultantOutcome",
    "Contract",
    "CoveredSession",
    "DateOverride",
    "DayHours",
    "Decision",
    "DeclineOffer",
    "DeclineRequest",
    "EmptyReason",
    "EvidenceOutcome",
    "ExplainAssignment",
    "ExplainOutcome",
    "ExportUser",
    "ExportUserOutcome",
    "FallbackCost",
    "FieldError",
    "ForgetUser",
    "ForgetUserOutcome",
    "FreeStart",
    "HoldOutcome",
    "HoldSlot",
    "Hours",
    "LeaveTime",
    "ListCalendarFeeds",
    "Observation",
    "Outcome",
    "OutcomeWarning",
    "PlanAbsence",
    "PolicyOutcome",
    "PreviewAvailability",
    "PreviewOutcome",
    "PublicQueue",
    "Query",
    "ReassignOutcome",
    "ReassignSession",
    "ReceiveReply",
    "RecordAttendance",
    "RecordBilling",
    "RecordOutcome",
    "RecurringHours",
    "ReleaseHold",
    "RemoveCalendarFeed",
    "RemoveLeave",
    "RenewHold",
    "ReplyOutcome",
    "RequestOutcome",
    "RescheduleSession",
    "RuleSet",
    "SearchOutcome",
    "SearchSlots",
    "SeriesOutcome",
    "SeriesSession",
    "ServiceTypeOutcome",
    "SessionOutcome",
    "SetAvailability",
    "SetCalendarFeed",
    "SetConsultantPolicy",
    "SetSpecializationAliases",
    "SingleSlot",
    "SubmitRequest",
    "TermWeights",
    "TimeSpan",
    "Travel",
    "UncoveredReason",
    "UncoveredSession",
    "UndoAbsencePlan",
    "UpsertConsultant",
    "UpsertServiceType",
    "UpsertUser",
    "UserOutcome",
    "Weekly",
    "WeeklyHours",
    "cursor_after",
    "cursor_place",
    "field_errors",
]

if not TYPE_CHECKING:  # mypy would accept any name

    def __getattr__(name: str) -> Any:
        """Import a name from its module; later uses find it here."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
