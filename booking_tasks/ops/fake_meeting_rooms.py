"""The rooms of the fake meeting platform: their state, and the effect of each call of the contract."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError

_SEE = "see docs/meeting-platform.openapi.yaml"
_KEPT = ("rooms", "keys", "presence", "ledger")
_NO_KEY = "the header Idempotency-Key is missing"
_PATH = re.compile(r"/rooms(?:/(?P<session_id>[^/]+)(?P<attendance>/attendance)?)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

UtcInstant = Annotated[AwareDatetime, AfterValidator(lambda instant: instant.astimezone(UTC))]


class _RequestBody(BaseModel, extra="forbid"):
    pass


class RoomBody(_RequestBody):
    """The body of PUT /rooms/{session_id}."""

    revision: Annotated[int, Field(ge=0)]
    starts_at: UtcInstant
    ends_at: UtcInstant
    requester_user_id: UUID
    consultant_user_id: UUID


class Presence(_RequestBody):
    """Observations to add to those of a session's room."""

    session_id: UUID
    complete: bool | None = None
    observations: list[dict[str, Any]] = []


class Control(_RequestBody):
    """How the platform fails."""

    fail_next: int = 0
    fail_method: str | None = None
    status: Annotated[int, Field(ge=400, le=599)] = 503
    delay_seconds: Annotated[float, Field(ge=0, le=600)] = 0
    repeat_answers: bool = False
    lose_reply_next: int = 0


@dataclass(frozen=True)
class PlatformResponse:
    """A status and a JSON body; None is no body."""

    status: int
    body: Any = None


def error_response(status: int, code: str, message: str) -> PlatformResponse:
    """Return an error in the form of the contract."""
    return PlatformResponse(status, {"error": code, "message": message})


@dataclass
class Rooms:
    """The state of the platform and the effect of each call; written to `file` after each change."""

    base_url: str = ""
    file: Path | None = None
    rooms: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    presence: dict[str, dict[str, Any]] = field(default_factory=dict)
    ledger: list[dict[str, Any]] = field(default_factory=list)

    def load(self) -> None:
        """Load the state file, if there is one."""
        if self.file is not None and self.file.exists():
            for name, value in json.loads(self.file.read_text(encoding="utf-8")).items():
                setattr(self, name, value)

    def save(self) -> None:
        """Replace the state file in one step."""
        if self.file is not None:
            half = self.file.with_suffix(self.file.suffix + ".new")
            half.write_text(json.dumps({name: getattr(self, name) for name in _KEPT}), encoding="utf-8")
            half.replace(self.file)

    def answer(self, method: str, target: str, key: str | None, body: bytes) -> PlatformResponse:
        """Answer one call of the contract."""
        parts = urlsplit(target)
        found = _PATH.fullmatch(parts.path)
        if found is None:
            return error_response(HTTPStatus.NOT_FOUND, "unknown_path", _SEE)
        if found["session_id"] is not None and not _UUID.fullmatch(found["session_id"]):
            return error_response(HTTPStatus.BAD_REQUEST, "malformed", "session_id is no UUID in lower case")
        if found["session_id"] is None:
            calls = {"GET": lambda _: self._list(parse_qs(parts.query))}
        elif found["attendance"]:
            calls = {"GET": self._attendance}
        else:
            calls = {
                "GET": self._get,
                "PUT": lambda session_id: self._put(session_id, key, body),
                "DELETE": lambda session_id: self._delete(session_id, key),
            }
        if method not in calls:
            return error_response(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", _SEE)
        return calls[method](found["session_id"] or "")

    def _put(self, session_id: str, key: str | None, body: bytes) -> PlatformResponse:
        try:
            sent = json.loads(body)
        except ValueError:
            return error_response(HTTPStatus.BAD_REQUEST, "malformed", "the body is no JSON")
        if not key:
            return error_response(HTTPStatus.BAD_REQUEST, "malformed", _NO_KEY)
        try:
            spec = RoomBody.model_validate(sent)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
            return error_response(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"missing or wrong: {fields}")
        if self.keys.setdefault(key, [session_id, sent]) != [session_id, sent]:
            return error_response(HTTPStatus.CONFLICT, "key_reused", "this key was used with another body")
        room, status = self.rooms.get(session_id), HTTPStatus.OK
        if room is None:
            name, status = secrets.token_urlsafe(12), HTTPStatus.CREATED
            room = {"room_id": name, "join_url": f"{self.base_url}/join/{name}"}
        if spec.revision >= room.get("revision", 0):
            room |= spec.model_dump(mode="json")
        self.rooms[session_id] = room
        self.presence.setdefault(session_id, {"complete": False, "observations": []})
        return PlatformResponse(status, _shown(room))

    def _get(self, session_id: str) -> PlatformResponse:
        room = self.rooms.get(session_id)
        return _unknown() if room is None else PlatformResponse(HTTPStatus.OK, _shown(room))

    def _delete(self, session_id: str, key: str | None) -> PlatformResponse:
        if not key:
            return error_response(HTTPStatus.BAD_REQUEST, "malformed", _NO_KEY)
        return (
            _unknown()
            if self.rooms.pop(session_id, None) is None
            else PlatformResponse(HTTPStatus.NO_CONTENT)
        )

    def _attendance(self, session_id: str) -> PlatformResponse:
        seen = self.presence.get(session_id)
        if seen is None:
            return _unknown()
        return PlatformResponse(HTTPStatus.OK, seen | {"observations": list(seen["observations"])})

    def _list(self, query: dict[str, list[str]]) -> PlatformResponse:
        try:
            start = datetime.fromisoformat(query.get("from", ["0001-01-01T00:00:00Z"])[-1])
            end = datetime.fromisoformat(query.get("until", ["9999-12-31T00:00:00Z"])[-1])
            listed = [
                {"session_id": session_id, "starts_at": room["starts_at"], "ends_at": room["ends_at"]}
                for session_id, room in self.rooms.items()
                if start <= datetime.fromisoformat(room["starts_at"]) < end
            ]
        except (ValueError, TypeError):
            return error_response(HTTPStatus.BAD_REQUEST, "malformed", "from and until are ISO 8601 in UTC")
        return PlatformResponse(HTTPStatus.OK, listed)

    def add_presence(self, presence: Presence) -> None:
        """Add observations to a session, which may have no room."""
        seen = self.presence.setdefault(str(presence.session_id), {"complete": False, "observations": []})
        seen["observations"] += presence.observations
        if presence.complete is not None:
            seen["complete"] = presence.complete


def _shown(room: dict[str, Any]) -> dict[str, Any]:
    return {"room_id": room["room_id"], "join_url": room["join_url"]}


def _unknown() -> PlatformResponse:
    return error_response(HTTPStatus.NOT_FOUND, "unknown_room", "there is no room for this session")
