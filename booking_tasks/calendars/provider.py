"""Fetching an outside calendar, as a whole or not at all, without the database."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from http import HTTPStatus

from booking_tasks.calendars import sandbox
from booking_tasks.calendars.headers import charset_of
from booking_tasks.calendars.network import FetchError, HttpsClient, NetworkLimits, Resolve, status_error
from booking_tasks.calendars.rules import ReadOptions
from booking_tasks.enums import FeedType

_LONGEST_VALIDATOR = 1000
#: The most seconds that a process needs to start and to load the CalDAV library.
_STARTUP_SECONDS = 15.0


@dataclass(frozen=True)
class FeedSource:
    """The address and credentials of a calendar, and the validators of the copy that was read last."""

    feed_type: str
    url: str = field(repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class FetchedCalendar:
    """A calendar with its validators; `content` is None when it has not changed."""

    content: bytes | None = field(repr=False)
    etag: str | None = None
    last_modified: str | None = None
    charset: str | None = None


def fetch(
    source: FeedSource, options: ReadOptions, limits: NetworkLimits, resolve: Resolve = socket.getaddrinfo
) -> FetchedCalendar:
    """Fetch a calendar unless it is unchanged since it was read last. Raises FetchError."""
    if source.feed_type == FeedType.CALDAV:
        return _fetch_by_caldav(source, options, limits)
    headers = {"Accept": "text/calendar"}
    if source.etag is not None:
        headers["If-None-Match"] = source.etag
    if source.last_modified is not None:
        headers["If-Modified-Since"] = source.last_modified
    with HttpsClient(source.url, source.username, source.password, limits, resolve) as https:
        response = https.request("GET", source.url, headers)
    conditional = source.etag is not None or source.last_modified is not None
    if response.status == HTTPStatus.NOT_MODIFIED and conditional:
        return FetchedCalendar(None, source.etag, source.last_modified)
    if response.status != HTTPStatus.OK:
        raise status_error(response)
    return FetchedCalendar(
        response.body,
        _validator(response.headers.get("ETag")),
        _validator(response.headers.get("Last-Modified")),
        charset_of(response.headers.get("Content-Type", "")),
    )


def _fetch_by_caldav(source: FeedSource, options: ReadOptions, limits: NetworkLimits) -> FetchedCalendar:
    """Fetch with the CalDAV library in a separate process: the library logs what it reads and loads much."""
    arguments = {
        "url": source.url,
        "username": source.username,
        "password": source.password,
        "ctag": source.etag,
        "start": options.start.isoformat(),
        "end": options.end.isoformat(),
        "limits": asdict(limits),
    }
    process_limits = sandbox.SandboxLimits(wall=limits.seconds + _STARTUP_SECONDS)
    try:
        output = sandbox.run_module(
            "booking_tasks.calendars.dav", json.dumps(arguments).encode(), process_limits
        )
    except sandbox.SandboxError as error:
        raise FetchError(str(error)) from None
    header, _, content = output.partition(b"\n")
    result = json.loads(header)
    if "error" in result:
        seconds = result.get("retry_after")
        raise FetchError(result["error"], None if seconds is None else timedelta(seconds=seconds))
    return FetchedCalendar(None if result["unchanged"] else content, _validator(result["ctag"]))


def _validator(value: str | None) -> str | None:
    """A validator that can be sent back, or None: without one, each refresh downloads the calendar."""
    if value is None or len(value) > _LONGEST_VALIDATOR:
        return None
    return value if value.isascii() and value.isprintable() else None
