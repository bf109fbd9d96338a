"""`booking-tasks absence`: plan the absence of a consultant, apply the plan, undo it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from booking_tasks.enums import RefusalCode
from booking_tasks.ops.console import AsJson, Who, checked_name, fail_with, operator_unit_of_work

if TYPE_CHECKING:
    from booking_tasks.contracts import AbsencePlanOutcome, AbsenceStep

absence = typer.Typer(no_args_is_help=True, help="A consultant is absent: plan, apply, undo.")

PlanId = Annotated[UUID, typer.Argument(help="The plan's id, as `plan` prints it.")]
_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
_WALL_CLOCK = "In the consultant's wall-clock time."


def _wall_clock(value: str) -> datetime:
    for one in _FORMATS:
        with suppress(ValueError):
            return datetime.strptime(value, one)  # noqa: DTZ007 - a wall-clock time
    raise typer.BadParameter("write it like 2027-03-08T09:00")


def _wall_clock_end(value: str) -> datetime:
    """Read an end; 24:00 is the midnight after that day."""
    day, found, rest = value.partition("T24:00")
    if found and rest in {"", ":00"}:
        return _wall_clock(f"{day}T00:00") + timedelta(days=1)
    return _wall_clock(value)


def _pair(value: str) -> tuple[UUID, UUID]:
    """Read `SESSION=CONSULTANT`."""
    session, _, consultant = value.partition("=")
    try:
        return UUID(session), UUID(consultant)
    except ValueError:
        raise typer.BadParameter("write SESSION=CONSULTANT, two UUIDs") from None


@absence.command()
def plan(
    consultant: Annotated[UUID, typer.Argument(help="The consultant who is absent.")],
    why: Annotated[str, typer.Option(help="The reason; kept in the history, sent to nobody.")],
    who: Who,
    leave: Annotated[UUID | None, typer.Option(help="A stored leave.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", parser=_wall_clock, help=_WALL_CLOCK)] = None,
    until: Annotated[datetime | None, typer.Option("--to", parser=_wall_clock_end, help=_WALL_CLOCK)] = None,
    except_: Annotated[
        list[UUID] | None, typer.Option("--except", help="A session that stays; may be repeated.")
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option("--assign", metavar="SESSION=CONSULTANT", help="The consultant for a session."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draft what happens to the sessions; without leave or time, to every future session."""
    from booking_tasks.absence.plans import plan_absence
    from booking_tasks.contracts import PlanAbsence
    from booking_tasks.kit.ids import uuid7

    request = {
        "plan_id": uuid7(),
        "consultant_user_id": consultant,
        "leave_id": leave,
        "start": since,
        "end": until,
        "reason": why,
        "except_session_ids": except_ or [],
        "chosen": [
            {"session_id": session, "consultant_user_id": other}
            for session, other in map(_pair, chosen or [])
        ],
    }
    _show(_run(PlanAbsence, plan_absence, who, request), as_json=as_json)


@absence.command()
def apply(plan: PlanId, who: Who, as_json: AsJson = False) -> None:
    """Apply the draft, whole or not at all; nobody is notified before the grace time has passed."""
    from booking_tasks.absence import plans
    from booking_tasks.contracts import ApplyAbsencePlan

    _show(_run(ApplyAbsencePlan, plans.apply_plan, who, {"plan_id": plan}), as_json=as_json)


@absence.command()
def undo(plan: PlanId, who: Who, as_json: AsJson = False) -> None:
    """Undo an applied plan while nobody has been notified."""
    from booking_tasks.absence import plans
    from booking_tasks.contracts import UndoAbsencePlan

    _show(_run(UndoAbsencePlan, plans.undo_plan, who, {"plan_id": plan}), as_json=as_json)


def _run(contract: Any, use_case: Any, who: str, request: dict[str, Any]) -> AbsencePlanOutcome:
    """Run a use case in a unit of work in the operator's name."""
    from pydantic import ValidationError

    from booking_tasks.contracts import AbsencePlanOutcome, field_errors
    from booking_tasks.kit.ids import uuid7

    name = checked_name(who)
    try:
        command = contract.model_validate({"message_id": uuid7(), "actor": name, **request})
    except ValidationError as error:
        problems = field_errors([dict(one) for one in error.errors(include_url=False, include_input=False)])
        return AbsencePlanOutcome(result="refused", code=RefusalCode.INVALID, errors=problems)
    with operator_unit_of_work(name) as (db, ctx):
        outcome: AbsencePlanOutcome = use_case(db, ctx, command)
    return outcome


def _show(outcome: AbsencePlanOutcome, *, as_json: bool) -> None:
    if as_json:
        typer.echo(outcome.model_dump_json(indent=2))
    else:
        _print(outcome)
    if outcome.result == "refused":
        fail_with(outcome)


def _print(outcome: AbsencePlanOutcome) -> None:
    for step in outcome.steps:
        typer.echo(_line(step))
    if outcome.plan_id is not None:
        announced = f", announced at {outcome.announce_at:%Y-%m-%d %H:%M}Z" if outcome.announce_at else ""
        typer.echo(f"plan {outcome.plan_id} {outcome.state}{announced}: {len(outcome.steps)} sessions")


def _line(step: AbsenceStep) -> str:
    to = f"consultant {step.consultant_user_id}" if step.consultant_user_id else "nobody"
    at = f"{step.start:%Y-%m-%d %H:%M}Z" if step.start else "-"
    return f"{step.session_id}  {step.action:<8}  {at:<17}  {to:<47}  {step.reason:<16}  {step.state}"
