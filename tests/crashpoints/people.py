"""Who takes part: fixed ids, so that two runs can be compared; and the database they all start from."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid5

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from booking_tasks.context import Context, Policies
from booking_tasks.contracts import SetAvailability
from booking_tasks.hours import service as hours_room
from booking_tasks.models import Consultant, DirectoryUser, ServiceType
from tests.accounts import migrate_with_roles
from tests.builders import NOW

HORIZON = timedelta(days=14)
_SPACE = UUID("b00c1a55-0000-4000-8000-000000000000")

#: Name -> specialization. Those without hours declare them on stage.
CONSULTANTS = {"ada": "algebra", "bob": "review", "cyd": "review", "eve": "review", "fay": "fencing"}
REQUESTERS = ("mira", "noor", "owen")
#: Name -> (a consultant must confirm, minutes of buffer after the session, who waits is asked or booked for).
SERVICES = {
    "tutoring": (False, 10, "book"),
    "review": (True, 0, "book"),
    "coaching": (False, 0, "offer"),
}


def fixed_id(name: str) -> UUID:
    """The id of whatever has this name: a person, a service, a request, a message."""
    return uuid5(_SPACE, name)


def weekly(*hours: tuple[int, str, str]) -> list[dict[str, object]]:
    """Declared hours as a message carries them: (weekday, start, end)."""
    return [{"weekday": day, "start": start, "end": end} for day, start, end in hours]


def build_template(admin_url: str, name: str) -> None:
    """Make the database that every run is a copy of: migrated, with the people and their hours."""
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    url = admin_url.rpartition("/")[0] + "/" + name
    migrate_with_roles(url)
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with Session(engine) as db, db.begin():
        for service, (confirmed, buffer, waiting_list) in SERVICES.items():
            db.add(
                ServiceType(
                    id=fixed_id(service),
                    name=service,
                    default_duration_minutes=60,
                    horizon_days=14,
                    minimum_notice_minutes=60,
                    buffer_after_minutes=buffer,
                    requires_confirmation=confirmed,
                    waiting_list=waiting_list,
                )
            )
        for person in (*CONSULTANTS, *REQUESTERS):
            db.add(DirectoryUser(user_id=fixed_id(person), name=person.title(), email=address(person)))
        for consultant, skill in CONSULTANTS.items():
            db.add(Consultant(consultant_user_id=fixed_id(consultant), specializations=[skill]))
        db.flush()
        for consultant in ("bob", "cyd", "eve"):
            _open(db, consultant, NOW)
    engine.dispose()
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO stepped_clock (only_row, instant) VALUES (true, %s)", [NOW])


def _open(db: Session, consultant: str, now: datetime) -> None:
    hours = weekly(*((day, "09:00", "17:00") for day in range(1, 6)))
    arguments = {"message_id": fixed_id(f"hours of {consultant}"), "actor": "setup", "weekly": hours}
    command = SetAvailability.model_validate(arguments | {"consultant_user_id": fixed_id(consultant)})
    policies = Policies(horizon=HORIZON)
    hours_room.set_availability(
        db, Context(now=now, actor="setup", entry_point="admin", policies=policies), command
    )


def address(person: str) -> str:
    """A person's mailbox."""
    return f"{person}@example.org"
