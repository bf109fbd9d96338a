"""What must be true after a fault: the rows, the mails, the rooms and the events, and what callers know."""

from __future__ import annotations

import email
import email.policy
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis import Redis
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from booking_tasks.kit import clock
from booking_tasks.kit.database import transaction
from booking_tasks.kit.settings import settings
from booking_tasks.models import ConsultationRequest, InboxMessage, Job
from tests.event_replay import of_history
from tests.faults.running_service import Book, RunningService
from tests.invariants import ALWAYS, of_letters, of_rooms, of_rows, of_stream, still_open

_OVERLAPS = [query for name, query in ALWAYS.items() if "overlap" in name or "two places" in name]


@dataclass(frozen=True)
class Ledger:
    """A run in numbers. `lost`, `overlaps`, `duplicates` and `open` are zero, or a promise is broken."""

    accepted: int
    terminal: int
    overlaps: int
    lost: int
    duplicates: int
    uncertain: int
    dead: int
    open: int
    wrong: tuple[str, ...]


def examined(service: RunningService, *, stream_kept: bool = True) -> Ledger:
    """Everything that must hold when all is calm; call it inside `service.open`.

    With `stream_kept` false the broker was emptied, and the events' stream with it.
    """
    mails = _mails(service)
    with transaction() as db:
        # Between two statements it reads tens of thousands of mails, longer than a client may be idle.
        db.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        lost = of_callers(db, service.book)
        letters = of_letters(db, mails, settings().uid_domain)
        left = still_open(db, clock.now(db), settings().verdict_delay.total_seconds())
        rooms = of_rooms(db, _rooms(service), _made(service.platform.ledger()))
        events = of_stream(db, _published(service.redis_url)) if stream_kept else []
        states = Counter(db.execute(select(Job.state)).scalars())
        return Ledger(
            accepted=len(service.book.accepted),
            terminal=_terminal(db, service.book),
            overlaps=sum(len(db.execute(text(query)).all()) for query in _OVERLAPS),
            lost=len(lost),
            duplicates=len(letters),
            uncertain=states["uncertain"],
            dead=states["dead"],
            open=len(left),
            wrong=(
                *lost,
                *letters,
                *left,
                *rooms,
                *events,
                *of_rows(db),
                *of_history(db, settings().policies),
            ),
        )


def of_callers(db: Session, book: Book) -> list[str]:
    """Where the service and its callers disagree about what was accepted."""
    rows = {row.message_id: row for row in db.execute(select(InboxMessage)).scalars()}
    requests = set(db.execute(select(ConsultationRequest.id)).scalars())
    wrong = []
    for message_id, answer in book.answers.items():
        row = rows.get(message_id)
        if row is None or row.outcome is None:
            wrong.append(f"{message_id} was answered and is not in the inbox")
        elif row.outcome != answer.model_dump(mode="json"):
            wrong.append(f"{message_id} was answered {answer.result}, the inbox says {row.outcome}")
    for message_id in book.accepted:
        request_id = getattr(book.sent[message_id], "request_id", None)
        if request_id is not None and request_id not in requests:
            wrong.append(f"request {request_id} was accepted and is gone")
    wrong += [f"{one} has no answer" for one in book.sent.keys() - book.answers.keys()]
    return wrong


def _terminal(db: Session, book: Book) -> int:
    """How many accepted messages have come to their end: answered in the inbox, for good."""
    done = select(func.count()).where(
        InboxMessage.state == "done", InboxMessage.message_id.in_(book.accepted)
    )
    return db.execute(done).scalar_one()


def _mails(service: RunningService) -> list[tuple[str, bytes]]:
    found = []
    for path in sorted(service.mail.folder.glob("*.eml")):
        content = path.read_bytes()
        head = email.message_from_bytes(content.partition(b"\r\n\r\n")[0], policy=email.policy.default)
        found.append((str(head["Message-ID"]), content))
    return found


def _rooms(service: RunningService) -> dict[UUID, str]:
    return {session_id: str(room["room_id"]) for session_id, room in service.platform.rooms().items()}


def _made(calls: list[dict[str, Any]]) -> list[UUID]:
    """The sessions of all rooms that the platform made, whether or not its answer arrived."""
    seen: set[UUID] = set()
    made = []
    for call in calls:
        session_id = UUID(call["path"].split("/")[2]) if call["path"].startswith("/rooms/") else None
        if session_id is None or call["status"] not in {None, 200, 201, 204}:
            continue
        if call["method"] == "PUT" and (call["status"] == 201 or session_id not in seen):
            made.append(session_id)
            seen.add(session_id)
        elif call["method"] == "DELETE":
            seen.discard(session_id)
    return made


def _published(redis_url: str) -> list[UUID]:
    with Redis.from_url(redis_url) as redis:
        entries: Any = redis.xrange(settings().event_stream or "")
    return [UUID(json.loads(fields[b"event"])["id"]) for _, fields in entries]
