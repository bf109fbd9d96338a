"""`booking-tasks timeline`: everything that happened to one request."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from booking_tasks.ops.console import AsJson, fail, print_json, read_only_transaction


def timeline(
    request: Annotated[UUID, typer.Argument(help="A request, or its session.")], as_json: AsJson = False
) -> None:
    """Print everything that happened to one request, in order, with attempts and reasons."""
    from booking_tasks.timeline.service import timeline_of

    with read_only_transaction() as db:
        found = timeline_of(db, request)
    if found is None:
        fail(f"{request} is neither a request nor a session of this database")
    if as_json:
        head = {"request": found.request_id, "session": found.session_id, "state": found.state}
        print_json(head | {"entries": [entry.record for entry in found.entries]})
        return
    typer.echo(f"request {found.request_id}, session {found.session_id or '-'}\n{found.state}")
    for entry in found.entries:
        typer.echo(str(entry))
