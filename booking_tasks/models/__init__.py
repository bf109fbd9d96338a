"""Every table, constraint, function and view, as the application knows them.

The migrations make the same; a test compares the two catalogues to the letter.
"""

from __future__ import annotations

from booking_tasks.models import functions as functions
from booking_tasks.models.absence import AbsencePlan, AbsencePlanStep
from booking_tasks.models.base import Base
from booking_tasks.models.batches import AssignmentBatch
from booking_tasks.models.calendars import CalendarFeed
from booking_tasks.models.catalogue import (
    AvailabilityRule,
    Consultant,
    DirectoryUser,
    ForgottenPerson,
    ServiceType,
    SpecializationAlias,
)
from booking_tasks.models.consultations import (
    AllowedStep,
    AssignmentDecision,
    ConsultationRequest,
    PastCount,
    ScheduledSession,
)
from booking_tasks.models.credits import AssignmentBalance, AssignmentCredit
from booking_tasks.models.engine import (
    AttendanceEvidence,
    DeadLetter,
    Event,
    InboxMessage,
    Job,
    ParkedMessage,
    ScheduleRun,
    SteppedClock,
    SweepRun,
)
from booking_tasks.models.hours import AvailabilityPlan, AvailabilityProjection, ConsultantLeave
from booking_tasks.models.mailboxes import SessionMailbox
from booking_tasks.models.offers import TimeOffer
from booking_tasks.models.policies import ConsultantPolicy
from booking_tasks.models.slots import AvailabilitySlot, OccupiedTime

__all__ = [
    "AbsencePlan",
    "AbsencePlanStep",
    "AllowedStep",
    "AssignmentBalance",
    "AssignmentBatch",
    "AssignmentCredit",
    "AssignmentDecision",
    "AttendanceEvidence",
    "AvailabilityPlan",
    "AvailabilityProjection",
    "AvailabilityRule",
    "AvailabilitySlot",
    "Base",
    "CalendarFeed",
    "Consultant",
    "ConsultantLeave",
    "ConsultantPolicy",
    "ConsultationRequest",
    "DeadLetter",
    "DirectoryUser",
    "Event",
    "ForgottenPerson",
    "InboxMessage",
    "Job",
    "OccupiedTime",
    "ParkedMessage",
    "PastCount",
    "ScheduleRun",
    "ScheduledSession",
    "ServiceType",
    "SessionMailbox",
    "SpecializationAlias",
    "SteppedClock",
    "SweepRun",
    "TimeOffer",
]
