"""The day of the consultants as a picture: bars for the terminal, and an SVG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from sqlalchemy import select

from booking_tasks.enums import SessionStatus, SlotStatus
from booking_tasks.kit.database import transaction
from booking_tasks.models import AvailabilitySlot, ScheduledSession
from booking_tasks.ops.demo import people
from booking_tasks.ops.demo.people import DemoPerson

_DAY = timedelta(days=1)
_HALF_HOUR = timedelta(minutes=30)

_CANCELLED = "cancelled"
_CANCELLATIONS = {SessionStatus.CANCELLED_BY_USER, SessionStatus.CANCELLED_BY_CONSULTANT}
#: The terminal sign, terminal colour, SVG colour and label of each state.
STATES = {
    "closed": ("·", "bright_black", "#f2f2f2", "no hours"),
    "free": ("░", "green", "#b7e1c1", "free"),
    "completed": ("█", "blue", "#2f6fd0", "took place"),
    "no_show_user": ("▒", "red", "#d0503f", "learner absent"),
    "no_show_consultant": ("▒", "red", "#d0503f", "consultant absent"),
    "attendance_unknown": ("▓", "yellow", "#e0b040", "attendance unknown"),
    "cancelled": ("x", "magenta", "#a878c0", "cancelled"),
}


@dataclass(frozen=True)
class DayPart:
    """A part of a consultant's day with its state (a key of STATES)."""

    start: datetime
    end: datetime
    state: str


def day_of(person: DemoPerson, day: datetime) -> list[DayPart]:
    """A consultant's windows and sessions on one UTC day; later parts cover earlier ones."""
    with transaction() as db:
        windows = db.execute(
            select(AvailabilitySlot.start_time, AvailabilitySlot.end_time).where(
                AvailabilitySlot.consultant_user_id == person.id,
                AvailabilitySlot.status == SlotStatus.AVAILABLE,
                AvailabilitySlot.start_time < day + _DAY,
                AvailabilitySlot.end_time > day,
            )
        ).all()
        sessions = db.execute(
            select(
                ScheduledSession.scheduled_start_time,
                ScheduledSession.scheduled_end_time,
                ScheduledSession.status,
            ).where(
                ScheduledSession.consultant_user_id == person.id,
                ScheduledSession.scheduled_start_time >= day,
                ScheduledSession.scheduled_start_time < day + _DAY,
            )
        ).all()
    free = [DayPart(max(start, day), min(end, day + _DAY), "free") for start, end in windows]
    taken = [
        DayPart(start, end, _CANCELLED if status in _CANCELLATIONS else status)
        for start, end, status in sessions
    ]
    return [*free, *sorted(taken, key=lambda part: part.state != _CANCELLED)]


def bar(parts_of_day: list[DayPart], day: datetime) -> str:
    """Return one day as 48 half hours, with the colour marks of rich."""
    signs = []
    for index in range(48):
        at = day + index * _HALF_HOUR
        state = next((one.state for one in reversed(parts_of_day) if one.start <= at < one.end), "closed")
        sign, colour, _, _ = STATES[state]
        signs.append(f"[{colour}]{sign}[/]")
    return "".join(signs)


def svg(day: datetime) -> str:
    """Return the day of all consultants in UTC as SVG; each bar has its state as title."""
    rows = [(person, day_of(person, day)) for person in people.CONSULTANTS]
    left, hour, height = 190, 30, 34
    width, bottom = left + 24 * hour + 20, 50 + height * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + 40}" role="img"'
        ' font-family="sans-serif" font-size="12">',
        f"<title>Consultations on {day:%A %d %B %Y}, times in UTC</title>",
        f'<rect width="{width}" height="{bottom + 40}" fill="white"/>',
    ]
    for at in range(0, 25, 2):
        x = left + at * hour
        parts.append(f'<text x="{x}" y="30" text-anchor="middle" fill="#555">{at:02}</text>')
        parts.append(f'<line x1="{x}" y1="38" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
    for place, (person, parts_of_day) in enumerate(rows):
        y = 44 + place * height
        parts.append(f'<text x="10" y="{y + 16}">{escape(person.name)}</text>')
        parts.append(f'<text x="10" y="{y + 29}" fill="#777" font-size="10">{escape(person.zone)}</text>')
        parts.append(
            f'<rect x="{left}" y="{y}" width="{24 * hour}" height="24" fill="{STATES["closed"][2]}"/>'
        )
        parts += [_rectangle(part, day, left, hour, y) for part in parts_of_day]
    parts += _legend(left, bottom)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rectangle(part: DayPart, day: datetime, left: int, hour: int, y: int) -> str:
    x = left + (part.start - day) / timedelta(hours=1) * hour
    width = (part.end - part.start) / timedelta(hours=1) * hour
    _, _, colour, label = STATES[part.state]
    title = f"{part.start:%H:%M}–{part.end:%H:%M} {label}"
    shape = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="24"'
    return f'<rect {shape} fill="{colour}"><title>{title}</title></rect>'


def _legend(left: int, y: int) -> list[str]:
    parts, x = [], left
    for name in ("free", "completed", "no_show_user", "attendance_unknown", "cancelled"):
        _, _, colour, label = STATES[name]
        parts.append(f'<rect x="{x}" y="{y + 14}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{x + 17}" y="{y + 24}">{label}</text>')
        x += 35 + 7 * len(label)
    return parts
