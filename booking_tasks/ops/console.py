"""What the operator's commands share: options, transactions and printing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from uuid import UUID

import typer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from booking_tasks.context import Context
    from booking_tasks.contracts import Outcome

#: The entry point of an operator's decision in the history.
ENTRY_POINT = "operator"


def _instant(value: str) -> datetime:
    """Read an instant such as `2027-03-01T09:00Z`, or an age such as `90m` or `2d`."""
    from pydantic import TypeAdapter, ValidationError

    from booking_tasks.kit.setting_values import Duration

    try:
        age = TypeAdapter(Duration).validate_python(value)
    except ValidationError:
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            raise typer.BadParameter("write an instant like 2027-03-01T09:00Z or an age like 2h") from None
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return datetime.now(UTC) - age


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MaxRows = Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, oldest first.")]
Since = Annotated[
    datetime | None, typer.Option(parser=_instant, metavar="WHEN", help="An instant, or an age like 2h.")
]
Who = Annotated[str, typer.Option(envvar="USER", help="Who decides; kept in the history.")]
Why = Annotated[str, typer.Option(help="The reason; kept in the history.")]
All = Annotated[bool, typer.Option("--all", help="Required to decide without any filter.")]
About = Annotated[
    UUID | None, typer.Option("--subject", help="A request, a session, or the id that the row itself names.")
]


@contextmanager
def read_only_transaction(*, one_snapshot: bool = False) -> Iterator[Session]:
    """Open a transaction that can only read; with `one_snapshot` it sees the rows of one instant."""
    from sqlalchemy import text

    from booking_tasks.kit.database import transaction

    with transaction() as db:
        if one_snapshot:
            db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        db.execute(text("SET TRANSACTION READ ONLY"))
        yield db


@contextmanager
def operator_unit_of_work(who: str) -> Iterator[tuple[Session, Context]]:
    """Open a unit of work in the operator's name. Raises typer.BadParameter without a name."""
    from booking_tasks.unit_of_work import unit_of_work

    with unit_of_work(checked_name(who), ENTRY_POINT) as (db, ctx):
        yield db, ctx


def checked_name(who: str) -> str:
    """Return the operator's name without spaces around it. Raises typer.BadParameter when it is empty."""
    if not who.strip():
        raise typer.BadParameter("name who decides: --who", param_hint="--who")
    return who.strip()


def require_filter(selects_all: bool, everything: bool) -> None:
    """Raise typer.BadParameter when a decision has no filter and `--all` was not set."""
    if selects_all and not everything:
        raise typer.BadParameter("name one, set a filter, or use --all")


def fail(message: str) -> NoReturn:
    """Print a message to standard error and exit with code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def fail_with(outcome: Outcome) -> NoReturn:
    """Print why a command was refused and exit with code 1."""
    for error in outcome.errors:
        typer.echo(f"{error.field}: {error.problem}", err=True)
    fail(f"refused: {outcome.code}")


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_rows(
    rows: list[Any], record: Callable[[Any], dict[str, Any]], line: Callable[[Any], str], *, as_json: bool
) -> None:
    """Print rows as a JSON list of records, or as lines with their number on standard error."""
    if as_json:
        print_json([record(row) for row in rows])
        return
    for row in rows:
        typer.echo(line(row))
    typer.echo(f"{len(rows)} found", err=True)


def print_ids(ids: list[UUID], result: str, nothing: str) -> None:
    """Print what happened to each id; exit with code 1 when there are none."""
    if not ids:
        fail(f"{nothing}; nothing was changed")
    for one in ids:
        typer.echo(f"{one} {result}")
