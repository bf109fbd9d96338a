"""The world outside in memory: mail server, meeting platform and stream, each with a will of its own.

Only what leaves the process is replaced. A fate says what becomes of one effect; where none is
drawn, all goes well.
"""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from uuid import UUID

import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from booking_tasks.calendars.network import FetchError, HttpResponse, HttpsClient
from booking_tasks.celery import app
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.events.publisher import Publisher
from booking_tasks.kit.errors import EffectNotDoneError, EffectRefusedError, EffectUnknownError
from booking_tasks.mail import handler
from booking_tasks.meetings import tasks as meetings
from booking_tasks.meetings.rules import AttendanceReport, ListedRoom, Room, RoomObservation, RoomSpec

Fate = Literal["done", "not done", "refused", "lost before", "lost after", "died before", "died after"]
ResultT = TypeVar("ResultT")


class DiedError(BaseException):
    """The process ends here: nobody below catches it."""


class Will:
    """What becomes of the next effects, in order; afterwards all goes well again."""

    def __init__(self) -> None:
        self.fates: list[Fate] = []

    def befalls(self, effect: Callable[[], ResultT], *, refusable: bool = True) -> ResultT:
        """Do it, or not, and say so, or not."""
        fate = self.fates.pop(0) if self.fates else "done"
        if fate == "not done" or (fate == "refused" and not refusable):
            raise EffectNotDoneError("put off")
        if fate == "refused":
            raise EffectRefusedError("refused")
        if fate == "lost before":
            raise EffectUnknownError("reply lost")
        if fate == "died before":
            raise DiedError
        result = effect()
        if fate == "lost after":
            raise EffectUnknownError("reply lost")
        if fate == "died after":
            raise DiedError
        return result


class Platform:
    """A meeting platform: booking_tasks.meetings.provider.MeetingPlatform."""

    def __init__(self, will: Will) -> None:
        self._will = will
        self._keys: dict[str, RoomSpec] = {}
        self._specs: dict[UUID, RoomSpec] = {}
        self._presence: dict[UUID, list[RoomObservation]] = {}
        self.open: dict[UUID, str] = {}
        self.made: list[UUID] = []
        self.complete: set[UUID] = set()
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is no connection to close."""

    def ensure(self, key: str, spec: RoomSpec) -> Room:
        """Make the session's room, or give it the spec's times."""
        return self._will.befalls(lambda: self._ensure(key, spec))

    def _ensure(self, key: str, spec: RoomSpec) -> Room:
        if self._keys.setdefault(key, spec) != spec:
            self.wrong.append(f"{key} came with another body")
        known = self._specs.get(spec.session_id)
        if spec.session_id not in self.open:
            self.open[spec.session_id] = f"room-{len(self.made)}"
            self.made.append(spec.session_id)
        if known is None or spec.revision >= known.revision:
            self._specs[spec.session_id] = spec
        name = self.open[spec.session_id]
        return Room(room_id=name, join_url=f"https://meet.example.org/{name}")

    def end(self, key: str, session_id: UUID) -> None:
        """Take the session's room away. Never refused: only the daily comparison would find that room."""
        self._will.befalls(lambda: self.open.pop(session_id, None), refusable=False)

    def attendance(self, session_id: UUID) -> AttendanceReport | None:
        """What was seen of the session's room."""
        return self._will.befalls(lambda: self._report(session_id))

    def _report(self, session_id: UUID) -> AttendanceReport | None:
        if session_id not in self.made:
            return None
        seen = tuple(self._presence.get(session_id, ()))
        return AttendanceReport(complete=session_id in self.complete, observations=seen)

    def rooms(self, start: datetime, end: datetime) -> list[ListedRoom]:
        """Every room that is to start from `start` until before `end`."""
        specs = [self._specs[one] for one in self.open]
        return [
            ListedRoom(session_id=one.session_id, starts_at=one.starts_at, ends_at=one.ends_at)
            for one in specs
            if start <= one.starts_at < end
        ]

    def see(self, session_id: UUID, evidence_type: str, at: datetime, who: UUID | None) -> None:
        """Somebody comes or goes, or the room opens or closes."""
        seen = self._presence.setdefault(session_id, [])
        user = None if who is None else str(who)
        report = {
            "id": f"seen {len(seen)}",
            "evidence_type": evidence_type,
            "observed_at": at,
            "user_id": user,
        }
        seen.append(RoomObservation.model_validate(report))


class Edge:
    """Everything outside, and the deaths that come at a commit."""

    def __init__(self) -> None:
        self.will = Will()
        self.platform = Platform(self.will)
        self.mails: list[tuple[str, bytes]] = []
        self.published: list[UUID] = []
        #: Address -> what an outside calendar holds.
        self.calendars: dict[str, bytes] = {}
        self.wakeups: list[str] = []
        #: How many commits go well before the deadly one, and whether that one still reaches the database.
        self.deadly_commit: tuple[int, bool] | None = None

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put it where mail server, platform, stream and broker would be."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(handler, "transport", lambda config: self)
            patch.setattr(meetings, "_platform", lambda: self.platform)
            patch.setattr(Publisher, "publish", lambda publisher, event: self._publish(event))
            patch.setattr(HttpsClient, "request", lambda https, method, url, *_: self._calendar(url))
            patch.setattr(app, "send_task", self._ring)
            patch.setattr(PGDialect_psycopg, "do_commit", self._deadly(PGDialect_psycopg.do_commit))
            yield

    def calm(self) -> None:
        """From now on all goes well."""
        self.will.fates.clear()
        self.deadly_commit = None

    def send(self, raw: bytes) -> None:
        """The mail server: one letter."""
        name = str(email.message_from_bytes(raw, policy=email.policy.default)["Message-ID"])
        self.will.befalls(lambda: self.mails.append((name, raw)))

    def _publish(self, event: bytes) -> None:
        """The stream: what it has already it does not take again; it refuses nothing for good."""
        name = UUID(json.loads(event)["id"])
        self.will.befalls(
            lambda: None if name in self.published else self.published.append(name), refusable=False
        )

    def _calendar(self, url: str) -> HttpResponse:
        """A server of calendars: what it does not have cannot be read today."""
        if url not in self.calendars:
            raise FetchError("it is away")
        return HttpResponse(200, {}, self.calendars[url])

    def _ring(self, name: str, **_: Any) -> None:
        """Keep a wake-up, as the broker does, until the machine delivers it."""
        self.wakeups.append(name.removeprefix(TASK_PREFIX))

    def _deadly(self, commit: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def committed(dialect: Any, connection: Any) -> None:
            if self.deadly_commit is None:
                commit(dialect, connection)
                return
            left, arrives = self.deadly_commit
            self.deadly_commit = (left - 1, arrives) if left else None
            if left or arrives:
                commit(dialect, connection)
            if not left:
                raise DiedError

        return committed
