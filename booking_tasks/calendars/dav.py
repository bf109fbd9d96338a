"""Fetching one CalDAV collection (RFC 4791), in a separate process (`sandbox.py`).

The library writes and reads the XML. Every byte goes through `network.py`, so the same limits hold as for a
plain calendar: public addresses, checked redirects, one deadline, one limit of size.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from booking_tasks.calendars.network import FetchError, HttpsClient, NetworkLimits, status_error
from booking_tasks.calendars.sandbox import limit_resources

_CALENDAR = "{urn:ietf:params:xml:ns:caldav}calendar"
_CTAG = "{http://calendarserver.org/ns/}getctag"
_SUCCESS = frozenset({HTTPStatus.OK, HTTPStatus.MULTI_STATUS})
_EMPTY = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"


@dataclass(frozen=True)
class _LibraryResponse:
    """The response attributes that the library reads."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    text: str
    reason: str = ""


class _LibrarySession:
    """Stands in for the library's HTTP session; any response that is not a success ends the fetch."""

    def __init__(self, https: HttpsClient) -> None:
        self._https = https
        self.failed: FetchError | None = None

    def request(self, method: str, url: str, **options: Any) -> _LibraryResponse:
        body = options.get("data") or None
        try:
            response = self._https.request(method, url, options.get("headers"), body)
            if response.status not in _SUCCESS:
                raise status_error(response)
        except FetchError as error:
            self.failed = error
            raise
        text = response.body.decode("utf-8", "replace")
        return _LibraryResponse(response.status, response.headers, response.body, text)

    def close(self) -> None:
        """Do nothing: the caller that opened the `HttpsClient` closes it."""


def fetch_collection(arguments: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Fetch a collection; return a header (an error, or the tag) and the calendar's bytes."""
    limits = NetworkLimits(
        **arguments["limits"] | {"private_hosts": tuple(arguments["limits"]["private_hosts"])}
    )
    try:
        with HttpsClient(arguments["url"], arguments["username"], arguments["password"], limits) as https:
            return _run_library(arguments, _LibrarySession(https))
    except ImportError:
        return {
            "error": "this worker has no CalDAV support: install booking-tasks with the extra caldav"
        }, b""
    except FetchError as error:
        wait = error.retry_after
        return {"error": str(error), "retry_after": None if wait is None else wait.total_seconds()}, b""


def _run_library(arguments: dict[str, Any], session: _LibrarySession) -> tuple[dict[str, Any], bytes]:
    try:
        ctag, content = _read_collection(arguments, session)
    except (FetchError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001 - see below
        # The library may raise anything on a malformed response, and its text may quote the response.
        raise session.failed or FetchError(
            f"its server does not speak CalDAV ({type(error).__name__})"
        ) from None
    if session.failed is not None:
        raise session.failed
    return {"ctag": ctag, "unchanged": content is None}, content or b""


def _read_collection(arguments: dict[str, Any], session: _LibrarySession) -> tuple[str | None, bytes | None]:
    """Read the collection's tag and its content; the content is None when the tag has not changed.

    The tag is read first: a change in between is then read again the next time.
    """
    from caldav.collection import Calendar  # noqa: PLC0415 - an extra
    from caldav.davclient import DAVClient  # noqa: PLC0415
    from caldav.elements import dav  # noqa: PLC0415
    from caldav.elements.base import ValuedBaseElement  # noqa: PLC0415

    class CTag(ValuedBaseElement):
        tag = _CTAG

    client = DAVClient(url=arguments["url"])
    client.session = session  # type: ignore[assignment]  # implements what the library uses
    # The library types its methods for asynchronous clients as well.
    calendar: Any = Calendar(client=client, url=arguments["url"])
    known = calendar.get_properties([dav.ResourceType(), CTag()])
    if _CALENDAR not in str(known.get(dav.ResourceType.tag)):
        raise FetchError("it is no calendar: the address must be that of one calendar's collection")
    ctag = known.get(_CTAG)
    if ctag is not None and ctag == arguments["ctag"]:
        return ctag, None
    start, end = (datetime.fromisoformat(arguments[name]) for name in ("start", "end"))
    found = calendar.search(event=True, start=start, end=end, expand=False)
    return ctag, b"".join(one.data.strip().encode() + b"\r\n" for one in found) or _EMPTY


def main(*limits: str) -> None:
    """Read the arguments from standard input; write one line of JSON and the calendar to standard output."""
    limit_resources(*limits)
    head, content = fetch_collection(json.load(sys.stdin))
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + content)


if __name__ == "__main__":
    main(*sys.argv[1:])
