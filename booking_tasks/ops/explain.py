"""`booking-tasks explain`: each decision about a request as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from booking_tasks.enums import Term
from booking_tasks.kit.errors import BookingTasksError

if TYPE_CHECKING:
    from rich.table import Table

    from booking_tasks.contracts import Decision, ExplainOutcome


def explain(
    request: Annotated[UUID, typer.Argument(help="The request.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain why a request has its consultant, or none: each decision with all candidates."""
    from rich.console import Console

    found = _outcome_of(request)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    typer.echo(f"request {request}: {found.status}, decisions: {len(found.decisions)}")
    console = Console(width=None if _is_wide() else 200, highlight=False)
    for decision in found.decisions:
        typer.echo("\n" + "\n".join(_head(decision)))
        if decision.candidates:
            console.print(table_of(decision))


def _is_wide() -> bool:
    import sys

    return sys.stdout.isatty()


def _outcome_of(request: UUID) -> ExplainOutcome:
    from booking_tasks.assignment.explaining import explain as explained
    from booking_tasks.context import Context
    from booking_tasks.contracts import ExplainAssignment
    from booking_tasks.kit import clock
    from booking_tasks.kit.database import transaction

    with transaction() as db:
        ctx = Context(now=clock.now(db), actor="operator", entry_point="command line")
        found = explained(db, ctx, ExplainAssignment(request_id=request))
    if found.result != "done":
        raise BookingTasksError(found.message or "refused")
    return found


def _head(decision: Decision) -> list[str]:
    """Return what was decided, with which policy, and the cost of a fallback."""
    who = (
        f"{decision.consultant_user_id}, {_minute(decision.start)}"
        if decision.consultant_user_id
        else "nobody"
    )
    lines = [
        f"{_minute(decision.decided_at)}  {decision.reason}: {who}",
        f"policy {decision.policy_version}",
    ]
    cost = decision.inputs.get("fallback")
    if cost:
        later = (
            "no start of their own" if cost["minutes_later"] is None else f"{cost['minutes_later']} min later"
        )
        lines.append(f"not the preferred one ({cost['reason']}): {later}, score {cost['score_difference']}")
    return lines


def table_of(decision: Decision) -> Table:
    """Return the candidates: terms and total of the eligible ones, the reason for the others."""
    from rich.table import Table

    weights = decision.inputs.get("weights", {})
    table = Table()
    for title in ("consultant", "first start"):
        table.add_column(title, no_wrap=True)
    for title in (*(_titled(term, weights) for term in Term), "total"):
        table.add_column(title, justify="right")
    table.add_column("why not", no_wrap=True)
    for one in decision.candidates:
        chosen = one.consultant_user_id == decision.consultant_user_id
        table.add_row(
            str(one.consultant_user_id),
            _minute(one.earliest_start),
            *(f"{one.terms[term]:.3f}" if term in one.terms else "" for term in Term),
            "" if one.total is None else f"{one.total:.3f}",
            one.rejected or ("chosen" if chosen else ""),
        )
    return table


def _titled(term: str, weights: dict[str, float]) -> str:
    return f"{term} x{weights[term]:g}" if term in weights else term


def _minute(instant: object) -> str:
    return f"{instant:%Y-%m-%d %H:%MZ}" if instant else ""
