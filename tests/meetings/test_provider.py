"""What each answer of a platform, or the lack of one, makes of a call: over real HTTP."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from booking_tasks.kit.errors import EffectNotDoneError, EffectRefusedError, EffectUnknownError
from booking_tasks.kit.ids import uuid7
from booking_tasks.meetings.provider import ONE_ROOM, HttpMeetingPlatform
from booking_tasks.meetings.rules import RoomSpec
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.servers import free_port
from tests.builders import NOW

SECOND = timedelta(seconds=1)


def spec() -> RoomSpec:
    return RoomSpec(
        session_id=uuid7(),
        revision=0,
        starts_at=NOW,
        ends_at=NOW + timedelta(hours=1),
        requester_user_id=uuid7(),
        consultant_user_id=uuid7(),
    )


@pytest.fixture
def local() -> Iterator[FakeMeetingPlatform]:
    with FakeMeetingPlatform() as running:
        yield running


@pytest.fixture
def platform(local: FakeMeetingPlatform) -> Iterator[HttpMeetingPlatform]:
    with HttpMeetingPlatform(local.url, None, 10 * SECOND) as ours:
        yield ours


@contextmanager
def answering(pieces: Iterable[bytes]) -> Iterator[str]:
    """A server that answers one connection with these very bytes; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(ConnectionError):
                connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def reply(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def ensure_at(url: str) -> str:
    with HttpMeetingPlatform(url, None, 5 * SECOND) as ours:
        return ours.ensure("key", spec()).join_url


def test_two_failures_and_a_third_try_make_one_room(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform
) -> None:
    room_spec = spec()
    local.control(fail_next=2, status=503)
    for _ in range(2):
        with pytest.raises(EffectNotDoneError, match="503"):
            platform.ensure("key", room_spec)
    room = platform.ensure("key", room_spec)
    assert [call["status"] for call in local.ledger()] == [503, 503, 201]
    assert local.rooms()[room_spec.session_id]["room_id"] == room.room_id


@pytest.mark.parametrize("status", [401, 403, 407, 408, 425, 429, 500, 502, 503, 504])
def test_an_answer_about_the_moment_or_our_account_means_not_done(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform, status: int
) -> None:
    local.control(fail_next=4, status=status)
    session_id = uuid7()
    with pytest.raises(EffectNotDoneError, match=str(status)):
        platform.ensure("key", spec())
    with pytest.raises(EffectNotDoneError, match=str(status)):
        platform.end("key", session_id)
    with pytest.raises(EffectNotDoneError, match=str(status)):
        platform.attendance(session_id)
    with pytest.raises(EffectNotDoneError, match=str(status)):
        platform.rooms(NOW, NOW + SECOND)


@pytest.mark.parametrize("status", [400, 405, 409, 422])
def test_an_answer_about_the_request_means_refused(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform, status: int
) -> None:
    local.control(fail_next=2, status=status)
    with pytest.raises(EffectRefusedError, match=str(status)):
        platform.ensure("key", spec())
    with pytest.raises(EffectRefusedError, match=str(status)):
        platform.end("key", uuid7())


def test_nobody_listening_means_not_done() -> None:
    with pytest.raises(EffectNotDoneError, match="not reached"):
        ensure_at(f"http://127.0.0.1:{free_port()}")


def test_an_address_that_is_none_means_not_done() -> None:
    with pytest.raises(EffectNotDoneError, match="not reached"):
        ensure_at("meetings")


def test_no_answer_in_time_means_unknown_and_the_same_key_finds_the_room(local: FakeMeetingPlatform) -> None:
    room_spec = spec()
    local.control(delay_seconds=60)
    with HttpMeetingPlatform(local.url, None, SECOND / 5) as hasty:
        with pytest.raises(EffectUnknownError, match="ReadTimeout"):
            hasty.ensure("key", room_spec)
        local.control(delay_seconds=0)
        assert hasty.ensure("key", room_spec).room_id == local.rooms()[room_spec.session_id]["room_id"]
    assert [call["status"] for call in local.ledger()] == [201, 200]


def test_a_lost_reply_means_unknown(local: FakeMeetingPlatform, platform: HttpMeetingPlatform) -> None:
    local.control(lose_reply_next=1)
    room_spec = spec()
    with pytest.raises(EffectUnknownError, match="lost"):
        platform.ensure("key", room_spec)
    assert room_spec.session_id in local.rooms()


def test_an_answer_that_breaks_off_means_unknown() -> None:
    whole = reply(b'{"room_id": "r", "join_url": "https://meet.example.org/r"}')
    with answering([whole[:-5]]) as url, pytest.raises(EffectUnknownError, match="lost"):
        ensure_at(url)


def test_an_answer_that_drips_for_too_long_means_unknown() -> None:
    hung_up = threading.Event()

    def drip() -> Iterator[bytes]:
        yield reply(b" " * 10_000)[:-10_000]
        while not hung_up.wait(0.02):
            yield b" "

    with answering(drip()) as url, HttpMeetingPlatform(url, None, SECOND / 4) as hasty:
        with pytest.raises(EffectUnknownError, match="too long"):
            hasty.ensure("key", spec())
        hung_up.set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"room_id": "r"}',
        b'{"room_id": 7, "join_url": "https://meet.example.org/r"}',
        b'{"room_id": "", "join_url": "https://meet.example.org/r"}',
        b'{"room_id": "r\\u0000", "join_url": "https://meet.example.org/r"}',
        b'{"room_id": "r", "join_url": null}',
        b'{"room_id": "r", "join_url": "http://meet.example.org/r"}',
        b'{"room_id": "r", "join_url": "javascript:alert(1)"}',
        b'{"room_id": "r", "join_url": "https://a@evil.example.org/r"}',
        b'{"room_id": "r", "join_url": "https://meet.example.org/r\\r\\nX: y"}',
        b"[" * 50_000,
        b"\xff\xfe",
    ],
)
def test_a_malformed_answer_or_a_hostile_link_means_refused_and_is_not_quoted(body: bytes) -> None:
    with answering([reply(body)]) as url, pytest.raises(EffectRefusedError, match="malformed") as caught:
        ensure_at(url)
    assert "example.org" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_an_answer_larger_than_the_limit_means_refused() -> None:
    with (
        answering([reply(b" " * (ONE_ROOM + 1))]) as url,
        pytest.raises(EffectRefusedError, match="larger"),
    ):
        ensure_at(url)


def test_an_unrequested_compressed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"room_id": "r", "join_url": "https://meet.example.org/r"}')
    body = reply(packed, headers="Content-Encoding: gzip\r\n")
    with answering([body]) as url, pytest.raises(EffectRefusedError, match="malformed"):
        ensure_at(url)


def test_a_redirect_is_not_followed(local: FakeMeetingPlatform) -> None:
    away = reply(b"", "307 Temporary Redirect", f"Location: {local.url}/rooms/{uuid7()}\r\n")
    with answering([away]) as url, pytest.raises(EffectRefusedError, match="307"):
        ensure_at(url)
    assert local.ledger() == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "login_refused"), (403, "login_refused"), (429, "rate_limited"), (503, "not_ready")],
)
def test_each_answer_has_the_reason_that_operators_see(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform, status: int, reason: str
) -> None:
    local.control(fail_next=1, status=status)
    with pytest.raises(EffectNotDoneError) as caught:
        platform.ensure("key", spec())
    assert caught.value.reason == reason


def test_the_token_goes_along_and_without_it_the_platform_lets_nobody_in() -> None:
    with FakeMeetingPlatform(token="right") as local:
        with HttpMeetingPlatform(local.url, "right", 5 * SECOND) as ours:
            ours.ensure("key", spec())
        with pytest.raises(EffectNotDoneError, match="401"):
            ensure_at(local.url)


def test_ending_a_room_that_is_gone_is_fine(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform
) -> None:
    room_spec = spec()
    platform.ensure("key", room_spec)
    platform.end("close", room_spec.session_id)
    platform.end("close", room_spec.session_id)
    assert [call["status"] for call in local.ledger()] == [201, 204, 404]


def test_a_path_prefix_of_the_platform_is_kept(local: FakeMeetingPlatform) -> None:
    with (
        HttpMeetingPlatform(local.url + "/api/v1/", None, 5 * SECOND) as ours,
        pytest.raises(EffectRefusedError, match="404"),
    ):
        ours.ensure("key", spec())
    assert local.ledger()[0]["path"].startswith("/api/v1/rooms/")


def test_attendance_of_an_unknown_session_is_none(platform: HttpMeetingPlatform) -> None:
    assert platform.attendance(uuid7()) is None


def test_a_report_with_a_number_for_an_instant_is_malformed(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform
) -> None:
    session_id = uuid7()
    local.presence(session_id, [{"id": "1", "evidence_type": "room_opened", "observed_at": 1_800_000_000}])
    with pytest.raises(EffectRefusedError, match=r"observations\.0\.observed_at"):
        platform.attendance(session_id)


def test_a_list_is_requested_week_by_week_without_gap_or_overlap(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform
) -> None:
    room_spec = [spec().model_copy(update={"starts_at": NOW + timedelta(days=day)}) for day in range(16)]
    for number, one in enumerate(room_spec):
        platform.ensure(f"key-{number}", one)
    found = platform.rooms(NOW, NOW + timedelta(days=15))
    assert [room.session_id for room in found] == [one.session_id for one in room_spec[:15]]
    assert sum(call["method"] == "GET" for call in local.ledger()) == 3


def test_the_body_names_nobody_but_the_two_user_ids(
    local: FakeMeetingPlatform, platform: HttpMeetingPlatform
) -> None:
    room_spec = spec()
    platform.ensure("key", room_spec)
    assert json.loads(local.ledger()[0]["body"]) == {
        "revision": 0,
        "starts_at": "2027-03-01T09:00:00Z",
        "ends_at": "2027-03-01T10:00:00Z",
        "requester_user_id": str(room_spec.requester_user_id),
        "consultant_user_id": str(room_spec.consultant_user_id),
    }
