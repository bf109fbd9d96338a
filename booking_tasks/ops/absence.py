"""The operator's way to plan an absence: see it, do it, take it back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

if TYPE_CHECKING:
    from booking_tasks.contracts import AbsencePlanOutcome, AbsenceStep

absence = typer.Typer(no_args_is_help=True, help="A consultant is away: plan, apply, undo.")

AsJson = Annotated[bool, typer.Option("--json", help="The outcome as JSON instead of a table.")]
Plan = Annotated[UUID, typer.Argument(help="The plan's id, as `plan` prints it.")]
Who = Annotated[str, typer.Option(envvar="USER", help="Who decides; kept in the history.")]
_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]
_WALL = "In the consultant's wall-clock time."


def _pair(value: str) -> tuple[UUID, UUID]:
    """`SESSION=CONSULTANT`."""
    session, _, consultant = value.partition("=")
    try:
        return UUID(session), UUID(consultant)
    except ValueError:
        raise typer.BadParameter("write SESSION=CONSULTANT, two UUIDs") from None


@absence.command()
def plan(
    consultant: Annotated[UUID, typer.Argument(help="Who is away.")],
    why: Annotated[str, typer.Option(help="The reason; kept in the history, told to nobody.")],
    who: Who,
    leave: Annotated[UUID | None, typer.Option(help="A stored leave.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=_FORMATS, help=_WALL)] = None,
    until: Annotated[datetime | None, typer.Option("--to", formats=_FORMATS, help=_WALL)] = None,
    except_: Annotated[
        list[UUID] | None, typer.Option("--except", help="A session that stays; may be repeated.")
    ] = None,
    give: Annotated[
        list[str] | None, typer.Option(metavar="SESSION=CONSULTANT", help="Who shall take a session.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What can become of the sessions: a draft. Without leave or time, of every session ahead."""
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
            {"session_id": session, "consultant_user_id": other} for session, other in map(_pair, give or [])
        ],
    }
    _show(_ran(PlanAbsence, plan_absence, who, request), as_json=as_json)


@absence.command()
def apply(plan: Plan, who: Who, as_json: AsJson = False) -> None:
    """Do what the draft shows, whole or not at all; nobody hears of it before the grace is over."""
    from booking_tasks.absence import plans
    from booking_tasks.contracts import ApplyAbsencePlan

    _show(_ran(ApplyAbsencePlan, plans.apply_plan, who, {"plan_id": plan}), as_json=as_json)


@absence.command()
def undo(plan: Plan, who: Who, as_json: AsJson = False) -> None:
    """Put everything back as it was, while nobody has heard of it."""
    from booking_tasks.absence import plans
    from booking_tasks.contracts import UndoAbsencePlan

    _show(_ran(UndoAbsencePlan, plans.undo_plan, who, {"plan_id": plan}), as_json=as_json)


def _ran(contract: Any, use_case: Any, who: str, request: dict[str, Any]) -> AbsencePlanOutcome:
    """The use case in a transaction of its own, on the operator's word."""
    from pydantic import ValidationError

    from booking_tasks.contracts import AbsencePlanOutcome, field_errors
    from booking_tasks.kit.ids import uuid7
    from booking_tasks.unit_of_work import unit_of_work

    if not who.strip():
        raise typer.BadParameter("say who decides", param_hint="--who")
    try:
        command = contract.model_validate({"message_id": uuid7(), "actor": who.strip(), **request})
    except ValidationError as error:
        problems = field_errors([dict(one) for one in error.errors(include_url=False, include_input=False)])
        return AbsencePlanOutcome(result="refused", code="invalid", errors=problems)
    with unit_of_work(command.actor, "operator") as (db, ctx):
        outcome: AbsencePlanOutcome = use_case(db, ctx, command)
    return outcome


def _show(outcome: AbsencePlanOutcome, *, as_json: bool) -> None:
    if as_json:
        typer.echo(outcome.model_dump_json(indent=2))
    else:
        _print(outcome)
    if outcome.result == "refused":
        for one in outcome.errors:
            typer.echo(f"{one.field}: {one.problem}", err=True)
        typer.echo(f"refused: {outcome.code}", err=True)
        raise typer.Exit(1)


def _print(outcome: AbsencePlanOutcome) -> None:
    for step in outcome.steps:
        typer.echo(_line(step))
    if outcome.plan_id is not None:
        told = f", told at {outcome.announce_at:%Y-%m-%d %H:%M}Z" if outcome.announce_at else ""
        typer.echo(f"plan {outcome.plan_id} {outcome.state}{told}: {len(outcome.steps)} sessions")


def _line(step: AbsenceStep) -> str:
    to = f"consultant {step.consultant_user_id}" if step.consultant_user_id else "nobody"
    at = f"{step.start:%Y-%m-%d %H:%M}Z" if step.start else "-"
    return f"{step.session_id}  {step.action:<8}  {at:<17}  {to:<47}  {step.reason:<16}  {step.state}"
