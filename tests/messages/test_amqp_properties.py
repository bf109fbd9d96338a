"""The reader of AMQP properties: no bytes make it raise, and what can be read is read as py-amqp reads it."""

from __future__ import annotations

import hashlib
from struct import pack

import pytest
from amqp.serialization import decode_properties_basic

from booking_tasks.guard.amqp_channel import FramedMessage, GuardedMessage
from booking_tasks.guard.amqp_properties import read_properties, readable_delivery
from booking_tasks.guard.consumer import replace_with_call
from booking_tasks.guard.envelope import MAX_BODY_BYTES
from booking_tasks.guard.rules import DEAD_LETTER, PARK, EntryPoint
from tests.messages.property_frames import (
    BODY,
    NOT_UTF8,
    corpus,
    frames,
    properties,
    short,
    sound_parts,
)
from tests.messages.raw import SEARCH

ENTRY_POINTS = {SEARCH: EntryPoint("booking", frozenset({"request"}))}


def received(raw: bytes, body: bytes = BODY) -> FramedMessage:
    """A message as the frames of a connection bring it."""
    message = FramedMessage(frame_method=(60, 60), frame_args=b"")
    message.inbound_header(pack(">HxxQ", 60, len(body)) + raw)
    for start in range(0, len(body), 100_000):
        message.inbound_body(body[start : start + 100_000])
    assert message.ready
    message.delivery_info = {"delivery_tag": 1}
    return message


def test_what_can_be_read_is_read_as_py_amqp_reads_it() -> None:
    raw = properties(**sound_parts("7") | {"correlation_id": short("ä"), "priority": b"\x05"})

    found = read_properties(b"--" + raw, 2)

    assert found.fault is None
    assert found.values == decode_properties_basic(raw, 0)[0]
    assert found.values["application_headers"]["id"] == "7"


@pytest.mark.parametrize("name", corpus())
def test_what_cannot_be_read_is_left_out_and_the_rest_is_kept(name: str) -> None:
    raw, reason = corpus()[name]
    with pytest.raises((ValueError, OverflowError, OSError, RecursionError)):
        decode_properties_basic(raw, 0)

    found = read_properties(raw, 0)

    assert reason in str(found.fault)
    assert found.values["application_headers"]["task"] == SEARCH
    assert found.values["delivery_mode"] == 2


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "the property flags cannot be read"),
        (pack(">H", 0x2000) + b"\0\0", "headers cannot be read: the properties end too early"),
        (pack(">H", 0x1000), "properties.delivery_mode cannot be read"),
        (
            properties(headers=pack(">I", 3) + short("a") + b"?"),
            "headers cannot be read: a value has an unknown type",
        ),
        (
            properties(headers=pack(">I", 900) + short("a") + b"V"),
            "headers cannot be read: the properties end too early",
        ),
        (
            properties(headers=pack(">I", 4) + short("a") + b"SS"),
            "headers cannot be read: a length ends too early",
        ),
    ],
)
def test_bytes_that_contradict_themselves_have_a_reason(raw: bytes, reason: str) -> None:
    found = read_properties(raw, 0)

    assert reason in str(found.fault)


def _is_a_call(raw: bytes) -> bool:
    """Whether the worker gets a call that it can make of a frame, whatever is in it."""
    message = GuardedMessage(received(raw))
    replace_with_call(message, "booking", ENTRY_POINTS)
    return message.headers["task"] in {SEARCH, DEAD_LETTER, PARK}


def _outcomes(number: int, seed: int) -> dict[str, int]:
    found = {"same": 0, "fault": 0}
    for raw in frames(number, seed):
        read = read_properties(raw, 0)
        try:
            expected, _ = decode_properties_basic(raw, 0)
        except Exception:  # noqa: BLE001 - whatever py-amqp raises
            assert read.fault, raw
            found["fault"] += 1
        else:
            assert repr(read.values) == repr(expected)  # NaN equals nothing
            found["same"] += 1
        assert _is_a_call(raw), raw
    return found


def test_five_hundred_frames_of_any_bytes_raise_nothing() -> None:
    found = _outcomes(500, seed=1)

    assert min(found.values()) > 100


@pytest.mark.long
def test_ten_thousand_frames_of_any_bytes_raise_nothing() -> None:
    found = _outcomes(10_000, seed=2)

    assert min(found.values()) > 1_500


def test_a_body_beyond_the_limit_is_not_kept() -> None:
    body = b" " * 300_000
    message = received(properties(**sound_parts()), body)

    assert message.body == b""
    assert message.fault == f"the body is larger than {MAX_BODY_BYTES} bytes"
    assert message.fingerprint() == {"bytes": 300_000, "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("key", [NOT_UTF8, b"\xc3"])
def test_a_routing_key_that_is_no_text_is_left_out(key: bytes) -> None:
    start = pack(">HH", 60, 60) + short("tag") + pack(">Q", 7) + b"\0"

    payload, fault = readable_delivery(start + short("booking.requests") + short(key))

    assert payload == start + short("") + short("")
    assert fault == "the exchange and the routing key must be text in UTF-8"
