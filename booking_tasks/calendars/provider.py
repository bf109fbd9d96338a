"""Fetching an outside calendar, as a whole or not at all. Nothing here knows the database."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from http import HTTPStatus

from booking_tasks.calendars import sandbox as confined
from booking_tasks.calendars.network import FetchError, Https, NetworkLimits, Resolve, status_says
from booking_tasks.calendars.rules import Reading

_LONGEST_VALIDATOR = 1000
#: What the CalDAV library takes to load, and more, in seconds.
_STARTING = 15.0


@dataclass(frozen=True)
class Source:
    """Where a calendar is, what opens it, and what its server said of the copy that was read last."""

    feed_type: str
    url: str = field(repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Fetched:
    """The calendar with what its server says of this copy; `content` is None when it has not changed."""

    content: bytes | None = field(repr=False)
    etag: str | None = None
    last_modified: str | None = None


def fetch(
    source: Source, reading: Reading, limits: NetworkLimits, resolve: Resolve = socket.getaddrinfo
) -> Fetched:
    """The calendar, if it changed since it was read last. Raises FetchError."""
    if source.feed_type == "caldav":
        return _fetched_by_caldav(source, reading, limits)
    headers = {"Accept": "text/calendar"}
    if source.etag is not None:
        headers["If-None-Match"] = source.etag
    if source.last_modified is not None:
        headers["If-Modified-Since"] = source.last_modified
    with Https(source.url, source.username, source.password, limits, resolve) as https:
        answer = https.call("GET", source.url, headers)
    conditional = source.etag is not None or source.last_modified is not None
    if answer.status == HTTPStatus.NOT_MODIFIED and conditional:
        return Fetched(None, source.etag, source.last_modified)
    if answer.status != HTTPStatus.OK:
        raise FetchError(status_says(answer.status))
    return Fetched(
        answer.body, _validator(answer.headers.get("ETag")), _validator(answer.headers.get("Last-Modified"))
    )


def _fetched_by_caldav(source: Source, reading: Reading, limits: NetworkLimits) -> Fetched:
    """By the CalDAV library, in a process of its own: it logs what it reads, and pays for what it loads."""
    order = {
        "url": source.url,
        "username": source.username,
        "password": source.password,
        "ctag": source.etag,
        "start": reading.start.isoformat(),
        "end": reading.end.isoformat(),
        "limits": asdict(limits),
    }
    held = confined.Limits(wall=limits.seconds + _STARTING)
    try:
        said = confined.run("booking_tasks.calendars.dav", json.dumps(order).encode(), held)
    except confined.NotReadError as error:
        raise FetchError(str(error)) from None
    head, _, content = said.partition(b"\n")
    answer = json.loads(head)
    if "error" in answer:
        raise FetchError(answer["error"])
    return Fetched(None if answer["unchanged"] else content, _validator(answer["ctag"]))


def _validator(value: str | None) -> str | None:
    """A validator as it will be sent back, if it can be: one that is too long costs a download each time."""
    if value is None or len(value) > _LONGEST_VALIDATOR:
        return None
    return value if value.isascii() and value.isprintable() else None
