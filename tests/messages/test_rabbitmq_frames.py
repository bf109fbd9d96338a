"""A real RabbitMQ brings any bytes that it accepts to the worker's channel, and each becomes a call."""

from __future__ import annotations

from collections import Counter

import pytest
from kombu.compression import encoders

from booking_tasks.guard.rules import DEAD_LETTER, EntryPoint
from tests.messages.compressions import bomb, memory
from tests.messages.property_frames import (
    NOT_UTF8,
    corpus,
    frames,
    long,
    properties,
    sound_parts,
)
from tests.messages.rabbitmq_worker import RawProducer, calls_made_of
from tests.messages.raw import SEARCH

pytestmark = pytest.mark.rabbitmq

ENTRY_POINTS = {SEARCH: EntryPoint("booking", frozenset({"request"}))}


def _fuzzed(url: str, number: int, seed: int) -> Counter[str]:
    producer = RawProducer(url)
    accepted = sum([producer.publish(raw) for raw in frames(number, seed)])
    producer.close()
    made = Counter(str(call["task"]) for call in calls_made_of(url, accepted, ENTRY_POINTS))
    assert made.total() == accepted
    return made + Counter(refused_by_rabbitmq=number - accepted)


def test_every_message_that_ended_a_worker_is_a_dead_letter(rabbitmq: str) -> None:
    producer = RawProducer(rabbitmq)
    accepted = [name for name, (raw, _) in corpus().items() if producer.publish(raw)]
    assert producer.publish(properties(**sound_parts()))
    assert len(accepted) >= 10

    calls = list(calls_made_of(rabbitmq, len(accepted) + 1, ENTRY_POINTS))

    assert [call["task"] for call in calls] == [DEAD_LETTER] * len(accepted) + [SEARCH]


def test_three_hundred_frames_of_any_bytes_are_calls_or_refused(rabbitmq: str) -> None:
    made = _fuzzed(rabbitmq, 300, seed=3)

    assert set(made) == {SEARCH, DEAD_LETTER, "refused_by_rabbitmq"}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_ten_thousand_frames_of_any_bytes_are_calls_or_refused(rabbitmq: str) -> None:
    made = _fuzzed(rabbitmq, 10_000, seed=4)

    assert min(made[SEARCH], made[DEAD_LETTER], made["refused_by_rabbitmq"]) > 500


def test_a_body_of_a_hundred_megabytes_takes_no_memory(rabbitmq: str) -> None:
    assert RawProducer(rabbitmq).publish(properties(**sound_parts()), b" " * 100_000_000)

    with memory() as peak:
        (call,) = calls_made_of(rabbitmq, 1, ENTRY_POINTS)

    assert call["task"] == DEAD_LETTER
    assert peak() < 5_000_000


@pytest.mark.parametrize("compression", encoders())
def test_a_compressed_body_is_refused_before_it_takes_memory(rabbitmq: str, compression: str) -> None:
    parts = sound_parts("", ("compression", long(compression)))
    assert RawProducer(rabbitmq).publish(properties(**parts), bomb(compression))

    with memory() as peak:
        (call,) = calls_made_of(rabbitmq, 1, ENTRY_POINTS)

    assert call["task"] == DEAD_LETTER
    assert peak() < 5_000_000


def test_a_routing_key_that_is_no_text_ends_nothing(rabbitmq: str) -> None:
    """A message reaches a queue by the header CC whatever its routing key is."""
    parts = sound_parts("", ("CC", b"A" + (len(long("booking"))).to_bytes(4, "big") + long("booking")))

    assert RawProducer(rabbitmq).publish(properties(**parts), key=NOT_UTF8)

    (call,) = calls_made_of(rabbitmq, 1, ENTRY_POINTS)
    assert call["task"] == DEAD_LETTER
