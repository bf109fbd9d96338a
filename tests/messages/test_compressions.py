"""No compression that kombu knows is unpacked, whatever size it claims, on Redis and RabbitMQ."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from kombu.compression import encoders
from kombu.message import Message as RedisMessage

from booking_tasks.guard.amqp_channel import GuardedMessage
from booking_tasks.guard.consumer import replace_with_call
from booking_tasks.guard.envelope import clean_envelope
from booking_tasks.guard.rules import DEAD_LETTER
from tests.messages.compressions import UNPACKED, bomb, memory
from tests.messages.property_frames import long, properties, sound_parts
from tests.messages.raw import envelope
from tests.messages.test_amqp_properties import ENTRY_POINTS, received

REFUSED = "headers.compression is not accepted: send the body as it is"


def test_the_compressions_of_the_standard_library_are_tried() -> None:
    assert {"application/x-gzip", "application/x-bz2", "application/x-lzma"} <= set(encoders())


def _reason_of(message: Any) -> str:
    replace_with_call(message, "booking", ENTRY_POINTS)
    assert message.headers["task"] == DEAD_LETTER
    return str(json.loads(message.body)[1]["reason"])


@pytest.mark.parametrize("compression", encoders())
def test_on_rabbitmq_a_compressed_body_stays_packed(compression: str) -> None:
    raw = properties(**sound_parts("", ("compression", long(compression))))
    body = bomb(compression)
    assert len(body) < UNPACKED / 900

    with memory() as peak:
        message = GuardedMessage(received(raw, body))

    assert _reason_of(message) == REFUSED
    assert peak() < 1_000_000


@pytest.mark.parametrize("compression", encoders())
def test_on_redis_a_compressed_body_stays_packed(compression: str) -> None:
    sent = envelope(headers={"compression": compression}, body=bomb(compression))

    with memory() as peak:
        clean = json.loads(clean_envelope(json.dumps(sent).encode(), "booking", "1"))
        message = RedisMessage(base64.b64decode(clean["body"]), headers=clean["headers"])

    assert message.headers["fault"]["reason"] == REFUSED
    assert peak() < 3_000_000
