"""Reassigning sessions, one by one or for an absent consultant: commands of the admin queue.

The requester's answer to a proposed time is a command of the booking queue.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal
from uuid import UUID

from pydantic import Field, model_validator

from booking_tasks.contracts.base import CodeT_co, Command, Contract, Instant, Outcome, PublicQueue, Reason
from booking_tasks.contracts.booking import SessionOutcome, StartCode
from booking_tasks.contracts.hours import LocalEnd, LocalMoment
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


#: The limit of sessions in one plan.
MOST_SESSIONS = 200


class ReassignOutcome(SessionOutcome[CodeT_co], Generic[CodeT_co]):
    """The session after the command, with its consultant."""

    consultant_user_id: UUID | None = None


class ReassignSession(Command[ReassignOutcome[ReassignCode]]):
    """Reassign a session to another consultant at its time; without one, to the best eligible one.

    The session keeps its row, its UID, its room and its start; its duration is the new consultant's policy. A
    consultant who is named gets it by the operator's decision and is not asked, also if they confirm
    bookings. Without a name, nobody is chosen who confirms or with whom it would have another duration.
    `already_done`: this consultant has it already.

    Codes when refused: `unknown_session`, `already_started`, `already_ended`, `unknown_consultant`; why the
    consultant is not eligible for the request (`is_the_requester`,
    `not_available_for_booking`, `missing_specialization`, `excluded` and its others); why the time cannot be
    booked (`slot_taken`, `slot_not_free`, `requester_busy`, `notice_too_short`, `beyond_horizon`,
    `limit_reached`); `nobody_can` (no consultant was named and none is eligible). A refused
    command changes nothing.
    """

    task: ClassVar[str] = "reassign_session"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = ReassignOutcome[ReassignCode]

    session_id: UUID
    consultant_user_id: UUID | None = None
    reason: Reason


class AbsenceStep(Contract):
    """The step for one session, with its reason.

    `reassign`: to `consultant_user_id` at its own time. `propose`: that consultant's `start` is held for the
    requester, who is asked to answer until `answer_by` (`proposal_id`). `cancel`: cancelled, with an apology.
    `reason` of the first is `best`, `chosen` (named by the planner) or `must_confirm` (nobody else could,
    and this consultant is not asked). The others have the reason why no colleague takes it at its time:
    `nobody_can`, or the refusal of the one who was named; `too_soon_to_ask` when there is no time for an
    answer.
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
    """The plan after the command, with its steps in order of time; it can be undone until `announce_at`."""

    plan_id: UUID | None = None
    state: PlanState | None = None
    announce_at: Instant | None = None
    steps: tuple[AbsenceStep, ...] = ()

    def booked_sessions(self) -> tuple[UUID, ...]:
        """Return the sessions of the steps that are applied: their people are notified, now or later."""
        return tuple(one.session_id for one in self._applied_steps())

    def booked_consultants(self) -> tuple[UUID, ...]:
        """Return the consultants who take a session over, or whose time is held for its requester."""
        takers = (one.consultant_user_id for one in self._applied_steps())
        return tuple(who for who in takers if who is not None)

    def _applied_steps(self) -> list[AbsenceStep]:
        is_applied = self.state in (PlanState.APPLIED, PlanState.ANNOUNCED)
        without_mail = (StepState.PLANNED, StepState.UNDONE, StepState.OVERTAKEN)
        return [one for one in self.steps if is_applied and one.state not in without_mail]


class ChosenConsultant(Contract):
    """The consultant for one session, if eligible."""

    session_id: UUID
    consultant_user_id: UUID


class PlanAbsence(Command[AbsencePlanOutcome[PlanAbsenceCode]]):
    """Draft what happens to the sessions of an absent consultant; nothing else is changed.

    Set `leave_id`, or `start` and `end` in the consultant's wall-clock time, or neither for every future
    session. As many sessions as possible are reassigned at their own time; for the others a new time is
    proposed; the rest is cancelled. The time itself is not blocked: add the leave first, or it stays
    bookable. A draft with the same `plan_id` is replaced.

    Codes when refused: `unknown_consultant`, `unknown_leave`, `plan_exists` (applied already, or another
    consultant's), `unknown_session` (excepted or chosen, but not affected),
    `too_many_sessions` (more than 200; take a shorter time).
    """

    task: ClassVar[str] = "plan_absence"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = AbsencePlanOutcome[PlanAbsenceCode]

    plan_id: UUID
    consultant_user_id: UUID
    leave_id: UUID | None = None
    start: LocalMoment | None = None
    end: LocalEnd | None = None
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
            raise ValueError("set leave_id, or start and end, not both")
        if len({one.session_id for one in self.chosen}) < len(self.chosen):
            raise ValueError("chosen names a session twice; name each once")
        return self


class ApplyAbsencePlan(Command[AbsencePlanOutcome[ApplyPlanCode]]):
    """Apply the draft, whole or not at all; nobody is notified before `announce_at`.

    Codes when refused: `unknown_plan`, `plan_outdated` (something has changed: nothing was done, and
    the outcome has the new draft), `already_undone`.
    """

    task: ClassVar[str] = "apply_absence_plan"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = AbsencePlanOutcome[ApplyPlanCode]

    plan_id: UUID


class UndoAbsencePlan(Command[AbsencePlanOutcome[UndoPlanCode]]):
    """Undo an applied plan before anybody is notified.

    A session that was moved, reassigned or cancelled meanwhile stays as it is (`overtaken`). Codes
    when refused: `unknown_plan`, `not_applied`, `already_announced`.
    """

    task: ClassVar[str] = "undo_absence_plan"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = AbsencePlanOutcome[UndoPlanCode]

    plan_id: UUID


class AnswerProposal(Command[ReassignOutcome[AnswerProposalCode]]):
    """Accept the proposed time, or decline it, which cancels the session.

    Codes when refused: `unknown_proposal`, `not_offered` (answered, undone, or the session has changed),
    `hold_expired`.
    """

    task: ClassVar[str] = "answer_proposal"
    queue: ClassVar[PublicQueue] = "booking"
    outcome: ClassVar[type[Outcome]] = ReassignOutcome[AnswerProposalCode]

    proposal_id: UUID
    accepted: bool
