"""`booking-tasks availability`: free time, the preview of a change, and uncovered sessions."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from booking_tasks.enums import RefusalCode
from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.ops.console import AsJson, fail_with

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from booking_tasks.contracts import PreviewOutcome, TimeSpan

availability = typer.Typer(
    no_args_is_help=True, help="Hours: list free time, preview a change, list uncovered sessions."
)

_MAX_FILE_BYTES = 1_000_000


def _hours_in(path: Path) -> dict[str, Any]:
    """Read the hours of a file; TOML has its own dates and times, JSON has them as text."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise BookingTasksError(f"{path}: longer than {_MAX_FILE_BYTES} bytes; hours are shorter")
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise BookingTasksError(f"{path}: cannot be read as JSON, or as TOML with .toml: {error}") from None
    if not isinstance(found, dict):
        raise BookingTasksError(f"{path}: must be an object with the fields of set_availability")
    return found


ConsultantId = Annotated[UUID, typer.Argument(metavar="CONSULTANT", help="The consultant.")]


@availability.command()
def preview(
    consultant: ConsultantId,
    file: Annotated[
        Path | None,
        typer.Option(help="Hours as JSON or TOML, as for set_availability; the default is the stored hours."),
    ] = None,
    leave: Annotated[
        list[str] | None,
        typer.Option(
            metavar="START/END", help="Additional leave, such as 2027-03-08T00:00/2027-03-10T00:00."
        ),
    ] = None,
    without_leave: Annotated[list[UUID] | None, typer.Option(help="Leave that would be removed.")] = None,
    zone: Annotated[str | None, typer.Option(help="Another zone, such as Europe/Vienna.")] = None,
    holidays: Annotated[str | None, typer.Option(help="Another region, such as AT or DE-BY.")] = None,
    slots: Annotated[UUID | None, typer.Option(help="A service type, to list its slots.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most this many of each.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what other hours, leave, zone or region would add, remove and orphan. Writes nothing."""
    from booking_tasks.kit.time_zones import zone as zone_named

    pairs = [one.partition("/") for one in leave or []]
    request = {
        "consultant_user_id": consultant,
        "hours": _hours_in(file) if file else None,
        "added_leave": [{"start": start, "end": end} for start, _, end in pairs],
        "removed_leave_ids": without_leave or [],
        "time_zone": zone,
        "holiday_region": holidays,
        "service_type_id": slots,
        "limit": limit,
    }
    outcome, stored_zone = _preview(request)
    if as_json:
        typer.echo(outcome.model_dump_json(indent=2))
    elif outcome.result == "done":
        _print(outcome, zone_named(zone or stored_zone), with_slots=slots is not None)
    if outcome.result != "done":
        fail_with(outcome)


def _preview(request: dict[str, Any]) -> tuple[PreviewOutcome, str]:
    """Return the outcome, and the zone of the consultant's stored hours."""
    from pydantic import ValidationError
    from sqlalchemy import text

    from booking_tasks.contracts import PreviewAvailability, PreviewOutcome, field_errors
    from booking_tasks.hours.preview import preview_availability
    from booking_tasks.models import Consultant as ConsultantRow
    from booking_tasks.unit_of_work import unit_of_work

    try:
        query = PreviewAvailability.model_validate(request)
    except ValidationError as error:
        problems = field_errors([dict(one) for one in error.errors(include_url=False, include_input=False)])
        return PreviewOutcome(result="refused", code=RefusalCode.INVALID, errors=problems), "UTC"
    with unit_of_work("operator", "command line") as (db, ctx):
        db.execute(text("SET TRANSACTION READ ONLY"))
        row = db.get(ConsultantRow, query.consultant_user_id)
        return preview_availability(db, ctx, query), row.time_zone if row else "UTC"


def _print(outcome: PreviewOutcome, where: ZoneInfo, *, with_slots: bool) -> None:
    typer.echo(f"times in {where.key}")
    _print_spans("added", outcome.added, outcome.added_count, where)
    _print_spans("removed", outcome.removed, outcome.removed_count, where)
    typer.echo(f"orphaned sessions: {len(outcome.orphaned)}")
    for one in outcome.orphaned:
        typer.echo(f"  {one.session_id}  {one.reason}")
    if with_slots:
        _print_spans("slots", outcome.slots, len(outcome.slots), where)


def _print_spans(title: str, spans: tuple[TimeSpan, ...], count: int, where: ZoneInfo) -> None:
    more = f", the first {len(spans)}" if count > len(spans) else ""
    typer.echo(f"{title}: {count}{more}")
    for one in spans:
        typer.echo(f"  {_span(one.start.astimezone(where), one.end.astimezone(where))}")


def _span(start: datetime, end: datetime) -> str:
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%a %Y-%m-%d %H:%M}"
    return f"{start:%a %Y-%m-%d %H:%M} - {until}"


@availability.command()
def uncovered(
    consultant: Annotated[UUID | None, typer.Argument(help="One consultant; the default is all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List future sessions that the hours do not cover or that leave or a calendar covers, and why."""
    from booking_tasks.hours import service
    from booking_tasks.unit_of_work import unit_of_work

    found = []
    with unit_of_work("operator", "command line") as (db, ctx):
        consultants = [consultant] if consultant else service.consultants_with_sessions_ahead(db, ctx)
        for one in consultants:
            listed = service.uncovered_sessions(db, ctx, one)
            if listed is None:
                raise BookingTasksError(f"{one} is no consultant of this database")
            found += [(one, session) for session in listed]
    if as_json:
        records = [{"consultant_user_id": str(one)} | row.model_dump(mode="json") for one, row in found]
        typer.echo(json.dumps(records, indent=2))
        return
    for one, session in found:
        typer.echo(f"{session.session_id}  {session.reason:<16}  consultant {one}")
    typer.echo(f"{len(found)} uncovered")


@availability.command()
def free(
    consultants: Annotated[
        list[UUID] | None, typer.Argument(help="Some consultants; the default is all who take bookings.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="The number of days from now.")] = 7,
    slots: Annotated[
        UUID | None, typer.Option(help="A service type, to list its slots instead of free time.")
    ] = None,
    zone: Annotated[str, typer.Option(help="The zone to show times in, such as Europe/Vienna.")] = "UTC",
    as_json: AsJson = False,
) -> None:
    """List the free time of consultants, or the slots of a service type."""
    from datetime import timedelta

    from booking_tasks.availability.service import free_time
    from booking_tasks.kit.time_zones import zone as zone_named
    from booking_tasks.unit_of_work import unit_of_work

    where = zone_named(zone)
    with unit_of_work("operator", "command line") as (db, ctx):
        found = free_time(db, ctx, ctx.now, ctx.now + timedelta(days=days), consultants or (), slots)
    for who, spans in sorted(found.items()):
        for span in spans:
            start, end = (one.astimezone(where) for one in span)
            if as_json:
                line = {"consultant_user_id": str(who), "start": start.isoformat(), "end": end.isoformat()}
                typer.echo(json.dumps(line))
            else:
                typer.echo(f"{who}  {_span(start, end)}")
    if not as_json:
        typer.echo(f"{sum(map(len, found.values()))} free, times in {where.key}")
