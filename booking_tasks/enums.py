"""The words the schema uses for states: written once, used by tables, rules and contracts."""

from __future__ import annotations

from typing import Literal, get_args

RequestStatus = Literal[
    "pending", "pending_assignment", "pending_confirmation", "scheduled", "cancelled", "completed", "rejected"
]
SessionStatus = Literal[
    "scheduled",
    "in_progress",
    "completed",
    "cancelled_by_user",
    "cancelled_by_consultant",
    "no_show_user",
    "no_show_consultant",
    "attendance_unknown",
]
SlotStatus = Literal["available", "held", "booked", "unavailable"]
Attendance = Literal["attended", "absent", "unknown"]
Party = Literal["requester", "consultant"]
JobState = Literal["waiting", "leased", "sending", "done", "skipped", "uncertain", "dead"]
EvidenceKind = Literal["joined", "left", "room_opened", "room_closed", "report_complete"]
FeedKind = Literal["ics", "caldav"]
#: What a calendar says for its owner.
Answer = Literal["accepted", "declined", "tentative"]
#: What becomes of a request when everyone who could take it was asked and nobody did.
WhenAllDeclined = Literal["wait", "reject"]
Fallback = Literal["anyone", "wait", "only"]
Term = Literal["preference", "priority", "fairness", "earliest", "specialization", "continuity", "local_time"]
CreditKind = Literal["assignment", "reversal", "newcomer", "leave", "no_show", "calibration"]
WaitingList = Literal["offer", "book"]
BatchMethod = Literal["greedy", "matching", "rounds", "search"]
OfferState = Literal["open", "accepted", "declined", "lapsed", "withdrawn"]
PlanState = Literal["draft", "applied", "announced", "undone"]
StepAction = Literal["reassign", "propose", "cancel"]
StepState = Literal["planned", "applied", "offered", "done", "cancelled", "undone", "overtaken"]

REQUEST_STATUSES: tuple[str, ...] = get_args(RequestStatus)
SESSION_STATUSES: tuple[str, ...] = get_args(SessionStatus)
SLOT_STATUSES: tuple[str, ...] = get_args(SlotStatus)
ATTENDANCES: tuple[str, ...] = get_args(Attendance)
PARTIES: tuple[str, ...] = get_args(Party)
JOB_STATES: tuple[str, ...] = get_args(JobState)
EVIDENCE_KINDS: tuple[str, ...] = get_args(EvidenceKind)
FEED_KINDS: tuple[str, ...] = get_args(FeedKind)
ANSWERS: tuple[str, ...] = get_args(Answer)
WHEN_ALL_DECLINED: tuple[str, ...] = get_args(WhenAllDeclined)
FALLBACKS: tuple[str, ...] = get_args(Fallback)
TERMS: tuple[Term, ...] = get_args(Term)
CREDIT_KINDS: tuple[str, ...] = get_args(CreditKind)
WAITING_LISTS: tuple[str, ...] = get_args(WaitingList)
OFFER_STATES: tuple[str, ...] = get_args(OfferState)
BATCH_METHODS: tuple[str, ...] = get_args(BatchMethod)
PLAN_STATES: tuple[str, ...] = get_args(PlanState)
STEP_ACTIONS: tuple[str, ...] = get_args(StepAction)
STEP_STATES: tuple[str, ...] = get_args(StepState)
