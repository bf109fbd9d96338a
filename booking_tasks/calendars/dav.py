"""One CalDAV collection (RFC 4791), fetched in a process of its own (`confined.py`).

The library makes and reads the XML; every byte goes through `network.py`, so what holds for a plain
address holds here: public addresses, checked redirects, one deadline, one limit of size.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from booking_tasks.calendars.network import FetchError, Https, NetworkLimits, status_says
from booking_tasks.calendars.sandbox import hold_to

_CALENDAR = "{urn:ietf:params:xml:ns:caldav}calendar"
_CTAG = "{http://calendarserver.org/ns/}getctag"
_FINE = frozenset({HTTPStatus.OK, HTTPStatus.MULTI_STATUS})
_EMPTY = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n"


@dataclass(frozen=True)
class _Response:
    """An answer as the library looks at it."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    text: str
    reason: str = ""


class _Session:
    """What the library takes for its HTTP session. Whatever is not fine ends the errand."""

    def __init__(self, https: Https) -> None:
        self._https = https
        self.failed: FetchError | None = None

    def request(self, method: str, url: str, **options: Any) -> _Response:
        body = options.get("data") or None
        try:
            answer = self._https.call(method, url, options.get("headers"), body)
            if answer.status not in _FINE:
                raise FetchError(status_says(answer.status))
        except FetchError as error:
            self.failed = error
            raise
        text = answer.body.decode("utf-8", "replace")
        return _Response(answer.status, answer.headers, answer.body, text)

    def close(self) -> None:
        """Nothing: `Https` is closed by whoever opened it."""


def fetched(order: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What is to be answered to an order: a head, and the calendar's bytes."""
    limits = NetworkLimits(**order["limits"] | {"private_hosts": tuple(order["limits"]["private_hosts"])})
    try:
        with Https(order["url"], order["username"], order["password"], limits) as https:
            return _asked(order, _Session(https))
    except ImportError:
        return {"error": "this worker knows no CalDAV: install booking-tasks with the extra caldav"}, b""
    except FetchError as error:
        return {"error": str(error)}, b""


def _asked(order: dict[str, Any], session: _Session) -> tuple[dict[str, Any], bytes]:
    try:
        ctag, content = _collection(order, session)
    except (FetchError, ImportError):
        raise
    except Exception as error:  # noqa: BLE001 - see below
        # Whatever the library raises of what a server said; its text may quote that.
        raise session.failed or FetchError(f"it does not speak CalDAV ({type(error).__name__})") from None
    if session.failed is not None:
        raise session.failed
    return {"ctag": ctag, "unchanged": content is None}, content or b""


def _collection(order: dict[str, Any], session: _Session) -> tuple[str | None, bytes | None]:
    """The collection's tag and its content; no content when the tag is still the known one.

    The tag is read first: what changes in between is then read again.
    """
    from caldav.collection import Calendar  # noqa: PLC0415 - an extra
    from caldav.davclient import DAVClient  # noqa: PLC0415
    from caldav.elements import dav  # noqa: PLC0415
    from caldav.elements.base import ValuedBaseElement  # noqa: PLC0415

    class CTag(ValuedBaseElement):
        tag = _CTAG

    client = DAVClient(url=order["url"])
    client.session = session  # type: ignore[assignment]  # as much of one as the library uses
    # Its types are those of the library's asynchronous half as well.
    calendar: Any = Calendar(client=client, url=order["url"])
    known = calendar.get_properties([dav.ResourceType(), CTag()])
    if _CALENDAR not in str(known.get(dav.ResourceType.tag)):
        raise FetchError("it is no calendar: give the address of one calendar's collection")
    ctag = known.get(_CTAG)
    if ctag is not None and ctag == order["ctag"]:
        return ctag, None
    start, end = (datetime.fromisoformat(order[name]) for name in ("start", "end"))
    found = calendar.search(event=True, start=start, end=end, expand=False)
    return ctag, b"".join(one.data.strip().encode() + b"\r\n" for one in found) or _EMPTY


def main(*limits: str) -> None:
    """An order on standard input; on standard output one line of JSON, then the calendar."""
    hold_to(*limits)
    head, content = fetched(json.load(sys.stdin))
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + content)


if __name__ == "__main__":
    main(*sys.argv[1:])
