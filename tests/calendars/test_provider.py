"""Fetching from real HTTPS servers that are honest, slow, huge, gone or out to lead us astray."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from booking_tasks.calendars.addresses import is_plainly_private, is_public
from booking_tasks.calendars.network import MOST_REDIRECTS, FetchError, NetworkLimits
from booking_tasks.calendars.provider import FeedSource, FetchedCalendar, fetch
from tests.calendars.files import MEETING, calendar
from tests.calendars.servers import (
    CERTIFICATE,
    ELSEWHERE,
    HERE,
    FakeCalendar,
    Names,
    answering,
    calendar_server,
)
from tests.calendars.test_reading import MARCH

LIMITS = NetworkLimits(seconds=20.0, max_bytes=100_000, private_hosts=(HERE.upper(),))
CONTENT = calendar(MEETING)


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


@pytest.fixture
def fake_calendar() -> Iterator[FakeCalendar]:
    with calendar_server(CONTENT) as held:
        yield held


def names(**answers: list[str]) -> Names:
    return Names(**({"calendar_example": ["127.0.0.1"], "elsewhere_example": ["127.0.0.1"]} | answers))


def fetched(
    source: str | FeedSource, limits: NetworkLimits = LIMITS, resolve: Names | None = None
) -> FetchedCalendar:
    feed_source = FeedSource("ics", source) if isinstance(source, str) else source
    return fetch(feed_source, MARCH, limits, resolve or names())


def refusal(source: str | FeedSource, limits: NetworkLimits = LIMITS, resolve: Names | None = None) -> str:
    with pytest.raises(FetchError) as refused:
        fetched(source, limits, resolve)
    text = str(refused.value)
    assert "token" not in text
    assert HERE not in text
    return text


# -- what an honest server does ------------------------------------------------------------------------


def test_what_the_server_holds_comes_with_its_validators(fake_calendar: FakeCalendar) -> None:
    assert fetched(fake_calendar.url) == FetchedCalendar(CONTENT, fake_calendar.etag, None)


def test_what_has_not_changed_is_not_sent_again(fake_calendar: FakeCalendar) -> None:
    known = FeedSource(
        "ics", fake_calendar.url, etag=fake_calendar.etag, last_modified="Mon, 01 Mar 2027 09:00:00 GMT"
    )

    assert fetched(known).content is None
    assert fake_calendar.requests[0].headers["If-None-Match"] == fake_calendar.etag
    assert fake_calendar.requests[0].headers["If-Modified-Since"] == known.last_modified
    fake_calendar.content += b"\r\n"
    assert fetched(known).content == fake_calendar.content


def test_unchanged_is_no_answer_to_who_has_nothing(fake_calendar: FakeCalendar) -> None:
    fake_calendar.misbehave = answering(304)

    assert "304" in refusal(fake_calendar.url)


def test_user_and_password_go_to_their_own_server_alone(fake_calendar: FakeCalendar) -> None:
    with calendar_server(CONTENT) as other:
        fake_calendar.misbehave = answering(302, Location=other.url.replace(HERE, ELSEWHERE))
        private = replace(LIMITS, private_hosts=(HERE, ELSEWHERE))
        source = FeedSource("ics", fake_calendar.url, username="okafor", password="open sesame")
        assert fetched(source, private).content == CONTENT

        assert fake_calendar.requests[0].headers["Authorization"] == "Basic b2thZm9yOm9wZW4gc2VzYW1l"
        assert "Authorization" not in other.requests[0].headers
    assert "sesame" not in repr(source)
    assert "token" not in repr(source)


# -- what leads astray -----------------------------------------------------------------------------------


def test_a_private_address_is_refused_unless_its_host_is_named(fake_calendar: FakeCalendar) -> None:
    assert "private address" in refusal(fake_calendar.url, replace(LIMITS, private_hosts=("other.example",)))
    assert fake_calendar.requests == []


def test_a_redirect_to_a_private_address_is_refused(fake_calendar: FakeCalendar) -> None:
    with calendar_server(CONTENT) as inner:
        fake_calendar.misbehave = answering(302, Location=inner.url.replace(HERE, ELSEWHERE))

        assert "private address" in refusal(fake_calendar.url)
        assert inner.requests == []


def test_a_name_is_looked_up_once_and_that_address_is_connected_to() -> None:
    with calendar_server(CONTENT, address="0.0.0.0") as fake_calendar:
        changing = names(calendar_example=["127.0.0.2", "127.0.0.3"])
        fetched(fake_calendar.url, resolve=changing)

        assert [one.at for one in fake_calendar.requests] == ["127.0.0.2"]
        assert changing.lookups == [HERE]


@pytest.mark.parametrize(
    "location",
    ["http://calendar.example/plain.ics", "file:///etc/passwd", "ftp://calendar.example/"],
)
def test_a_redirect_away_from_https_is_refused(fake_calendar: FakeCalendar, location: str) -> None:
    fake_calendar.misbehave = answering(302, Location=location)

    assert "https" in refusal(fake_calendar.url)


@pytest.mark.parametrize(
    "location", ["https://[calendar/", "https://calendar.example:99999/", "https://\x7f/"]
)
def test_a_redirect_to_no_address_at_all_is_refused(fake_calendar: FakeCalendar, location: str) -> None:
    fake_calendar.misbehave = answering(302, Location=location)

    assert "valid address" in refusal(fake_calendar.url)


def test_a_validator_that_could_not_be_sent_back_is_not_kept(fake_calendar: FakeCalendar) -> None:
    fake_calendar.misbehave = answering(200, CONTENT, ETag='"' + "x" * 1000 + '"', Last_Modified="März")

    assert fetched(fake_calendar.url) == FetchedCalendar(CONTENT, None, None)


def test_redirects_come_to_an_end(fake_calendar: FakeCalendar) -> None:
    fake_calendar.misbehave = answering(301, Location="/again")

    assert f"more than {MOST_REDIRECTS} times" in refusal(fake_calendar.url)
    assert len(fake_calendar.requests) == MOST_REDIRECTS + 1


def test_a_certificate_for_another_name_is_not_trusted(fake_calendar: FakeCalendar) -> None:
    url = fake_calendar.url.replace(HERE, "third.example")
    limits = replace(LIMITS, private_hosts=("third.example",))

    assert "certificate" in refusal(url, limits, names(third_example=["127.0.0.1"]))


PRIVATE = (
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2001:0:7f00:1::",
    "fec0::1",
    "feff::1",
    "64:ff9b::808:808",
    "64:ff9b:1::808:808",
    "2002:808:808::1",
    "2001:0:4136:e378::1",
    "::ffff:224.0.0.1",
    "::ffff:169.254.169.254",
    "192.0.0.8",
    "192.88.99.1",
    "239.1.2.3",
    "240.0.0.1",
    "ff0e::1",
    "2001:db8::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "100::1",
    "no address",
)


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_is_public_however_it_is_dressed(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(address)


def test_what_is_plainly_private_is_seen_without_a_lookup() -> None:
    for host in ("127.0.0.1", "[::1]", "localhost", "LOCALHOST.", "a.localhost", "db.internal", "10.1.1.1"):
        assert is_plainly_private(f"https://{host}/x.ics", ("other",)), host
    assert not is_plainly_private("https://localhost:8443/x.ics", ("LocalHost",))
    assert not is_plainly_private("https://calendar.example/x.ics", ())


# -- what fails, floods and drips --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "answers 500"),
        (404, "no longer exists"),
        (410, "no longer exists"),
        (401, "refuses access"),
        (403, "refuses access"),
        (429, "answers 429"),
        (503, "answers 503"),
        (204, "answers 204"),
        (206, "answers 206"),
    ],
)
def test_another_answer_than_a_calendar_is_a_failure(
    fake_calendar: FakeCalendar, status: int, message: str
) -> None:
    fake_calendar.misbehave = answering(status, b"" if status == 204 else CONTENT)

    assert message in refusal(fake_calendar.url)


def test_a_body_that_breaks_off_is_no_body(fake_calendar: FakeCalendar) -> None:
    def break_off(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(CONTENT)
        handler.close_connection = True

    fake_calendar.misbehave = break_off

    assert "broke off" in refusal(fake_calendar.url)


def test_more_than_is_allowed_is_not_read(fake_calendar: FakeCalendar) -> None:
    fake_calendar.content = b"x" * 100_001

    assert "BOOKING_CALENDAR_MAX_BYTES" in refusal(fake_calendar.url)


def _raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("X-GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
    ],
)
def test_what_is_compressed_unasked_is_unpacked(
    fake_calendar: FakeCalendar, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    fake_calendar.misbehave = answering(200, pack(CONTENT), Content_Encoding=encoding)

    assert fetched(fake_calendar.url).content == CONTENT


def test_what_is_compressed_is_unpacked_to_no_more_than_is_allowed(fake_calendar: FakeCalendar) -> None:
    for size in (LIMITS.max_bytes + 1, 50_000_000):
        fake_calendar.misbehave = answering(200, gzip.compress(b"x" * size), Content_Encoding="gzip")
        assert "BOOKING_CALENDAR_MAX_BYTES" in refusal(fake_calendar.url)
    fake_calendar.misbehave = answering(200, gzip.compress(b"x" * LIMITS.max_bytes), Content_Encoding="gzip")
    assert len(fetched(fake_calendar.url).content or b"") == LIMITS.max_bytes


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "zstd"])
def test_another_compression_and_a_damaged_one_are_refused(
    fake_calendar: FakeCalendar, encoding: str
) -> None:
    fake_calendar.misbehave = answering(200, CONTENT, Content_Encoding=encoding)
    assert "compressed" in refusal(fake_calendar.url)
    broken = gzip.compress(CONTENT)[:30] + b"nonsense" * 20
    fake_calendar.misbehave = answering(200, broken, Content_Encoding="gzip")
    assert "damaged" in refusal(fake_calendar.url)


def test_the_charset_of_the_content_type_is_passed_on(fake_calendar: FakeCalendar) -> None:
    fake_calendar.misbehave = answering(200, CONTENT, Content_Type='text/calendar; charset="ISO-8859-1"')
    assert fetched(fake_calendar.url).charset == "iso-8859-1"
    fake_calendar.misbehave = answering(200, CONTENT, Content_Type="text/calendar")
    assert fetched(fake_calendar.url).charset is None


def test_how_long_a_server_asks_to_be_left_alone_is_passed_on(fake_calendar: FakeCalendar) -> None:
    def wait(status: int, retry_after: str) -> float | None:
        fake_calendar.misbehave = answering(status, b"", Retry_After=retry_after)
        with pytest.raises(FetchError) as refused:
            fetched(fake_calendar.url)
        found = refused.value.retry_after
        return None if found is None else round(found.total_seconds(), -1)

    at = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    assert wait(429, "7200") == 7200
    assert wait(503, at) == 7200
    assert wait(429, "Mon, 01 Mar 2021 09:00:00 GMT") == 0
    assert wait(429, "soon") is None
    assert wait(500, "7200") is None


def test_a_redirect_to_a_subscription_is_taken_as_https(fake_calendar: FakeCalendar) -> None:
    def redirect(handler: BaseHTTPRequestHandler) -> None:
        fake_calendar.misbehave = None
        answering(302, Location=fake_calendar.url.replace("https", "webcal"))(handler)

    fake_calendar.misbehave = redirect
    assert fetched(fake_calendar.url).content == CONTENT


def test_a_host_with_one_private_address_among_public_ones_is_refused(fake_calendar: FakeCalendar) -> None:
    def resolve(_: str, port: int, **__: object) -> list[tuple[Any, ...]]:
        return [(0, 0, 0, "", (address, port)) for address in ("8.8.8.8", "127.0.0.1")]

    with pytest.raises(FetchError, match="private"):
        fetch(FeedSource("ics", fake_calendar.url), MARCH, replace(LIMITS, private_hosts=()), resolve)
    assert fake_calendar.requests == []


def test_a_timeout_says_what_it_was(fake_calendar: FakeCalendar) -> None:
    limits = replace(LIMITS, seconds=0.5)
    fake_calendar.misbehave = _drip_body
    assert "reading it takes longer than BOOKING_CALENDAR_TIMEOUT in all" in refusal(
        fake_calendar.url, limits
    )


def _drip_body(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    _drip(handler)


def _drip(handler: BaseHTTPRequestHandler) -> None:
    fake_calendar: FakeCalendar = handler.server.calendar  # type: ignore[attr-defined]
    while not fake_calendar.over.wait(0.05):
        handler.wfile.write(b"x")


@pytest.mark.parametrize("slow", [_drip_body, _drip], ids=["body", "headers"])
def test_a_server_that_drips_is_cut_off_in_time(fake_calendar: FakeCalendar, slow: object) -> None:
    fake_calendar.misbehave = slow  # type: ignore[assignment]
    began = time.monotonic()

    assert "too slow" in refusal(fake_calendar.url, replace(LIMITS, seconds=0.5))
    assert time.monotonic() - began < 10


def test_nobody_there_and_no_such_name_are_failures(fake_calendar: FakeCalendar) -> None:
    def unknown(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise OSError("no such host")

    with pytest.raises(FetchError, match="its host name is unknown"):
        fetch(FeedSource("ics", fake_calendar.url), MARCH, LIMITS, unknown)
    assert "cannot be reached" in refusal("https://calendar.example:1/token")
