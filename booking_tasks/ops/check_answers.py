"""The checks of the ways in which people answer: by links and by calendar replies."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from booking_tasks.kit.settings import Settings
from booking_tasks.ops.findings import Finding, State

_CHECK = "answers"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def answers(config: Settings, seconds: float) -> Iterator[Finding]:
    """Check whether calendar replies are accepted, and whether the pages behind links can be reached."""
    yield _by_calendar(config)
    if config.links is None:
        remedy = "for links set BOOKING_PUBLIC_URL and BOOKING_LINK_SECRET, and run booking-tasks web"
        yield Finding(_CHECK, State.OK, "BOOKING_PUBLIC_URL is not set: mails contain no links", remedy)
        return
    address = urlsplit(config.links.address)
    where = f"{address.scheme}://{address.netloc}"
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        seen, remedy = f"{where}: links are sent unencrypted", "put TLS in front, and write https:// there"
        yield Finding(_CHECK, State.WARNING, seen, remedy)
    if error := _web_error(config.links.address, seconds):
        remedy = "run booking-tasks web behind it, or correct BOOKING_PUBLIC_URL"
        yield Finding(_CHECK, State.WARNING, f"{where}: {error}; links in mails do not work", remedy)
    else:
        yield Finding(_CHECK, State.OK, f"{where} answers; mails contain links")


def _by_calendar(config: Settings) -> Finding:
    """Report the address for calendar replies, because the delivery to it cannot be checked from here."""
    if not config.calendar_replies:
        seen = "BOOKING_CALENDAR_REPLIES is false: confirmation requests are not sent to calendars"
        return Finding(_CHECK, State.OK, seen)
    seen = f"calendar replies are sent to {config.mail_address}, for booking-tasks reply"
    name = "BOOKING_REPLY_AUTHSERV"
    remedy = f"set {name} to your mail server's name in Authentication-Results"
    if config.reply_unauthenticated == "accept":
        problem = "BOOKING_REPLY_UNAUTHENTICATED is accept: whoever knows an entry can forge an answer"
        return Finding(_CHECK, State.WARNING, f"{seen} ({problem})", f"{remedy}, and unset that")
    if config.reply_authserv is None:
        return Finding(_CHECK, State.WARNING, f"{seen} ({name} is not set: they change nothing)", remedy)
    return Finding(_CHECK, State.OK, f"{seen} (DMARC checked by {config.reply_authserv})")


def _web_error(address: str, seconds: float) -> str | None:
    import httpx2

    try:
        response = httpx2.get(f"{address}/healthz", timeout=seconds)
    except httpx2.HTTPError as error:
        return type(error).__name__
    return None if response.status_code == 200 else f"/healthz answers {response.status_code}"
