"""Giving sessions to others, by hand or for a consultant who is away: messages of the admin queue.

The requester's answer to a proposed time comes by the booking queue.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal
from uuid import UUID

from pydantic import Field, model_validator

from booking_tasks.contracts.base import CodeT_co, Command, Contract, Instant, Outcome, Queue, Reason
from booking_tasks.contracts.booking import SessionOutcome, StartCode
from booking_tasks.contracts.hours import LocalMoment
from booking_tasks.enums import PlanState, RefusalCode, StepAction, StepState

#: Why a consultant cannot serve a request at any time.
IneligibilityCode = Literal[
    RefusalCode.IS_THE_REQUESTER,
    RefusalCode.NOT_AVAILABLE_FOR_BOOKING,
    RefusalCode.SERVICE_NOT_OFFERED,
    RefusalCode.NOT_FOR_COMPANY,
    RefusalCode.MISSING_SPECIALIZATION,
    RefusalCode.MISSING_LANGUAGE,
    RefusalCode.EXCLUDED,
]
ReassignCode = Literal[
    IneligibilityCode,
    StartCode,
    RefusalCode.UNKNOWN_SESSION,
    RefusalCode.ALREADY_STARTED,
    RefusalCode.ALREADY_ENDED,
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.NOBODY_CAN,
]
PlanAbsenceCode = Literal[
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.UNKNOWN_LEAVE,
    RefusalCode.PLAN_EXISTS,
    RefusalCode.UNKNOWN_SESSION,
    RefusalCode.TOO_MANY_SESSIONS,
]
ApplyPlanCode = Literal[
    RefusalCode.UNKNOWN_PLAN,
    RefusalCode.PLAN_OUTDATED,
    RefusalCode.ALREADY_UNDONE,
]
UndoPlanCode = Literal[
    RefusalCode.UNKNOWN_PLAN,
    RefusalCode.NOT_APPLIED,
    RefusalCode.ALREADY_ANNOUNCED,
]
AnswerProposalCode = Literal[
    RefusalCode.UNKNOWN_PROPOSAL,
    RefusalCode.NOT_OFFERED,
    RefusalCode.HOLD_EXPIRED,
]


#: So many sessions one plan takes at most.
MOST_SESSIONS = 200


class ReassignOutcome(SessionOutcome[CodeT_co], Generic[CodeT_co]):
    """The session as it stands now, and whose it is."""

    consultant_user_id: UUID | None = None


class ReassignSession(Command[ReassignOutcome[ReassignCode]]):
    """Give a session to another consultant at the same time; without one, to the best who can.

    It stays the same session: its row, its UID and its room. The start stays; how long it lasts is the new
    consultant's policy. A consultant who is named takes it on the operator's word and is not asked, also
    where they confirm bookings themselves; without a name nobody is chosen who confirms, or with whom it
    would last another time. `already_done`: it is theirs already.

    Codes when refused: `unknown_session`, `already_started`, `already_ended`, `unknown_consultant`; why the
    consultant is no candidate for the request, as the assignment says it (`is_the_requester`,
    `not_available_for_booking`, `missing_specialization`, `excluded` and its others); why the time is not
    theirs (`slot_taken`, `slot_not_free`, `requester_busy`, `notice_too_short`, `beyond_horizon`,
    `limit_reached`); `nobody_can` (no consultant was named and none is able). A refused one leaves the
    session where it was.
    """

    task: ClassVar[str] = "reassign_session"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = ReassignOutcome[ReassignCode]

    session_id: UUID
    consultant_user_id: UUID | None = None
    reason: Reason


class AbsenceStep(Contract):
    """What becomes of one session, and why nothing better does.

    `reassign`: to `consultant_user_id` at its own time. `propose`: that consultant's `start` is kept for the
    requester until `answer_by`, and they are asked (`proposal_id`). `cancel`: called off, with an apology.
    `reason` of the first is `best`, `chosen` (named by the planner) or `must_confirm` (nobody else could;
    they take it unasked); of the others why no colleague takes it at its time: `nobody_can`, or what stood in
    the way of the one who was named; `too_soon_to_ask` when there is no time for an answer either.
    """

    session_id: UUID
    action: StepAction
    reason: str
    state: StepState
    consultant_user_id: UUID | None = None
    start: Instant | None = None
    end: Instant | None = None
    answer_by: Instant | None = None
    proposal_id: UUID | None = None


class AbsencePlanOutcome(Outcome[CodeT_co], Generic[CodeT_co]):
    """The plan as it stands now, its steps in order of time. `announce_at`: until then it can be undone."""

    plan_id: UUID | None = None
    state: PlanState | None = None
    announce_at: Instant | None = None
    steps: tuple[AbsenceStep, ...] = ()


class ChosenConsultant(Contract):
    """Who shall take one session, if they can."""

    session_id: UUID
    consultant_user_id: UUID


class PlanAbsence(Command[AbsencePlanOutcome[PlanAbsenceCode]]):
    """What can become of a consultant's sessions while they are away: shown and kept as a draft, no more.

    Give a `leave_id`, or `start` and `end` in the consultant's wall-clock time, or neither: every session
    ahead, as for somebody who leaves for good. As many sessions as possible go to colleagues at their own
    time; for the others a new time is proposed; what is left is cancelled. The time itself is not taken:
    add the leave first, or it stays bookable. A draft with the same `plan_id` is replaced.

    Codes when refused: `unknown_consultant`, `unknown_leave`, `plan_exists` (applied already, or another
    consultant's), `unknown_session` (excepted or chosen for, and not among those affected),
    `too_many_sessions` (more than 200; take a shorter time).
    """

    task: ClassVar[str] = "plan_absence"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = AbsencePlanOutcome[PlanAbsenceCode]

    plan_id: UUID
    consultant_user_id: UUID
    leave_id: UUID | None = None
    start: LocalMoment | None = None
    end: LocalMoment | None = None
    reason: Reason
    except_session_ids: Annotated[tuple[UUID, ...], Field(max_length=MOST_SESSIONS)] = ()
    chosen: Annotated[tuple[ChosenConsultant, ...], Field(max_length=MOST_SESSIONS)] = ()

    @model_validator(mode="after")
    def _one_time(self) -> PlanAbsence:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end come together")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("end must lie after start")
        if self.leave_id is not None and self.start is not None:
            raise ValueError("give leave_id, or start and end, not both")
        if len({one.session_id for one in self.chosen}) < len(self.chosen):
            raise ValueError("chosen names a session twice; name each once")
        return self


class ApplyAbsencePlan(Command[AbsencePlanOutcome[ApplyPlanCode]]):
    """Do what the draft shows, whole or not at all. Nobody hears of it before `announce_at`.

    Codes when refused: `unknown_plan`, `plan_outdated` (something changed since: nothing was done, the
    outcome holds the new draft), `already_undone`.
    """

    task: ClassVar[str] = "apply_absence_plan"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = AbsencePlanOutcome[ApplyPlanCode]

    plan_id: UUID


class UndoAbsencePlan(Command[AbsencePlanOutcome[UndoPlanCode]]):
    """Put every session of an applied plan back as it was; nobody hears anything.

    A session that somebody moved, gave away or cancelled since stays as they left it (`overtaken`). Codes
    when refused: `unknown_plan`, `not_applied`, `already_announced`.
    """

    task: ClassVar[str] = "undo_absence_plan"
    queue: ClassVar[Queue] = "admin"
    outcome: ClassVar[type[Outcome]] = AbsencePlanOutcome[UndoPlanCode]

    plan_id: UUID


class AnswerProposal(Command[ReassignOutcome[AnswerProposalCode]]):
    """The requester takes the time that is kept for them instead, or does not: then the session ends.

    Codes when refused: `unknown_proposal`, `not_offered` (answered, undone, or the session changed since),
    `hold_expired`.
    """

    task: ClassVar[str] = "answer_proposal"
    queue: ClassVar[Queue] = "booking"
    outcome: ClassVar[type[Outcome]] = ReassignOutcome[AnswerProposalCode]

    proposal_id: UUID
    accepted: bool
