"""`booking-tasks person`: forget a person, or export all that is known of one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from booking_tasks.ops.console import ENTRY_POINT, AsJson, Who, checked_name, fail_with

person = typer.Typer(no_args_is_help=True, help="One person: forget, export.")

UserId = Annotated[UUID, typer.Argument(help="The person's user id.")]


@person.command()
def forget(user: UserId, who: Who, as_json: AsJson = False) -> None:
    """Erase what is known of a person; sessions that they requested are cancelled."""
    from booking_tasks.contracts import ForgetUser
    from booking_tasks.forgetting.service import forget_user
    from booking_tasks.kit.ids import uuid7
    from booking_tasks.unit_of_work import unit_of_work

    name = checked_name(who)
    command = ForgetUser(message_id=uuid7(), actor=name, user_id=user)
    with unit_of_work(name, ENTRY_POINT, command.message_id, one_snapshot=True) as (db, ctx):
        outcome = forget_user(db, ctx, command)
    if as_json:
        typer.echo(outcome.model_dump_json(indent=2))
    elif outcome.result != "refused":
        ended = f"sessions cancelled: {outcome.cancelled_sessions}, requests: {outcome.withdrawn_requests}"
        typer.echo(f"{outcome.result}; {ended}")
    if outcome.result == "refused":
        fail_with(outcome)


@person.command()
def export(user: UserId) -> None:
    """Print all that is known of a person as JSON."""
    from booking_tasks.context import Context
    from booking_tasks.contracts import ExportUser
    from booking_tasks.forgetting.export import export_user
    from booking_tasks.kit import clock
    from booking_tasks.ops.console import read_only_transaction

    with read_only_transaction(one_snapshot=True) as db:
        ctx = Context(now=clock.now(db), actor="operator", entry_point=ENTRY_POINT)
        found = export_user(db, ctx, ExportUser(user_id=user))
    typer.echo(found.model_dump_json(indent=2))
