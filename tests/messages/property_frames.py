"""AMQP property frames as raw bytes: sound ones, odd ones and broken ones, from a seed.

`RawMessage` publishes them with py-amqp unchanged, so that a broker gets what no client library would write.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from struct import pack
from typing import Any
from uuid import uuid4

import amqp

from tests.messages.raw import SEARCH, search

BODY = json.dumps([[], {"request": search()}, {}]).encode()
NOT_UTF8 = b"\xff\xfe\xc3"
#: The properties in their order, with their flags.
FLAGS = {
    "content_type": 0x8000,
    "content_encoding": 0x4000,
    "headers": 0x2000,
    "delivery_mode": 0x1000,
    "priority": 0x0800,
    "correlation_id": 0x0400,
    "reply_to": 0x0200,
    "expiration": 0x0100,
    "message_id": 0x0080,
    "timestamp": 0x0040,
    "type": 0x0020,
    "user_id": 0x0010,
    "app_id": 0x0008,
    "cluster_id": 0x0004,
}


class RawMessage(amqp.Message):
    """A message whose properties are the bytes of its maker."""

    def __init__(self, properties: bytes, body: bytes = BODY) -> None:
        super().__init__(body)
        self.raw = properties

    def _serialize_properties(self) -> bytes:
        return self.raw


def short(text: bytes | str) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return pack("B", len(raw)) + raw


def long(text: bytes | str) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return b"S" + pack(">I", len(raw)) + raw


def table(*entries: tuple[bytes | str, bytes]) -> bytes:
    """A table of raw values, each with its type letter."""
    content = b"".join(short(name) + value for name, value in entries)
    return pack(">I", len(content)) + content


def nested_tables(levels: int) -> bytes:
    value = b"V"
    for _ in range(levels):
        content = short("t") + value
        value = b"F" + pack(">I", len(content)) + content
    return value


def nested_arrays(levels: int) -> bytes:
    value = b"V"
    for _ in range(levels):
        value = b"A" + pack(">I", len(value)) + value
    return value


def properties(**raw: bytes) -> bytes:
    """Properties in the protocol's order, whatever bytes each has."""
    flags = sum(FLAGS[name] for name in raw)
    return pack(">H", flags) + b"".join(raw[name] for name in FLAGS if name in raw)


def sound_parts(id_: str = "", *more: tuple[bytes | str, bytes]) -> dict[str, bytes]:
    """The parts of a message that is answered, with further headers."""
    headers = table(("task", long(SEARCH)), ("id", long(id_ or str(uuid4()))), ("lang", long("py")), *more)
    return {
        "content_type": short("application/json"),
        "content_encoding": short("utf-8"),
        "headers": headers,
        "delivery_mode": b"\x02",
    }


#: Name -> further headers of a sound message, and what the reason of its dead letter names.
ODD_HEADERS: dict[str, tuple[bytes, bytes, str]] = {
    "a timestamp in milliseconds": (
        b"sent_at",
        b"T" + pack(">Q", 1_796_058_440_537),
        "headers.sent_at must be",
    ),
    "a timestamp in the last second of all": (
        b"sent_at",
        b"T" + pack(">Q", 2**64 - 1),
        "headers.sent_at must be",
    ),
    "tables nested 2,000 deep": (b"deep", nested_tables(2_000), "headers.deep is nested too deep"),
    "arrays nested 9,000 deep": (b"deep", nested_arrays(9_000), "headers.deep is nested too deep"),
    "a timestamp in an array": (
        b"when",
        b"A" + pack(">I", 9) + b"T" + b"\xff" * 8,
        "headers.when cannot be read",
    ),
    "an odd header whose name is no UTF-8": (NOT_UTF8, b"T" + b"\xff" * 8, "headers.a header must be"),
}
#: Name -> a property that replaces that of a sound message, and what the reason names.
ODD_PROPERTIES: dict[str, tuple[dict[str, bytes], str]] = {
    f"{name} is no UTF-8": ({name: short(NOT_UTF8)}, f"properties.{name} must be text in UTF-8")
    for name in (
        "content_type",
        "content_encoding",
        "correlation_id",
        "reply_to",
        "message_id",
        "type",
        "app_id",
    )
}


def corpus() -> dict[str, tuple[bytes, str]]:
    """Every message that ended a worker: its property frame, and a part of the reason of its dead letter."""
    headers = {
        name: (properties(**sound_parts("", (key, value))), reason)
        for name, (key, value, reason) in ODD_HEADERS.items()
    }
    others = {
        name: (properties(**sound_parts() | odd), reason) for name, (odd, reason) in ODD_PROPERTIES.items()
    }
    return headers | others


def frames(number: int, seed: int) -> Iterator[bytes]:
    """So many property frames: a tenth is sound, the others have odd, missing, cut or changed parts."""
    chance = random.Random(seed)
    makers: tuple[Callable[[random.Random], bytes], ...] = (
        _sound,
        _odd,
        _odd,
        _odd,
        _odd,
        _cut,
        _changed,
        _noise,
    )
    for _ in range(number):
        yield chance.choice(makers)(chance)


def _sound(chance: random.Random) -> bytes:
    return properties(**sound_parts("", ("n", _value(chance, 2))))


def _odd(chance: random.Random) -> bytes:
    parts: dict[str, Any] = sound_parts(
        "", *[(_name(chance), _value(chance, 3)) for _ in range(chance.randint(0, 4))]
    )
    for name in chance.sample(sorted(FLAGS), chance.randint(0, 5)):
        parts[name] = _property(name, chance)
    for name in chance.sample(sorted(parts), chance.randint(0, 2)):
        del parts[name]
    return properties(**parts)


def _property(name: str, chance: random.Random) -> bytes:
    if name == "headers":
        return table(*[(_name(chance), _value(chance, 3)) for _ in range(chance.randint(0, 6))])
    if name in ("delivery_mode", "priority"):
        return chance.randbytes(1)
    if name == "timestamp":
        return chance.choice([chance.randbytes(8), pack(">Q", 1_796_058_440_537)])
    if name == "expiration":  # none that RabbitMQ would obey within the test
        return short(chance.choice([b"86400000", b"-1", b"soon", NOT_UTF8]))
    return short(chance.choice([chance.randbytes(chance.randint(0, 40)), b"\xed\xa0\x80", NOT_UTF8]))


def _name(chance: random.Random) -> bytes:
    known = [
        b"task",
        b"id",
        b"compression",
        b"fault",
        b"eta",
        b"expires",
        b"timelimit",
        b"ignore_result",
        b"t",
    ]
    return chance.choice([*known, chance.randbytes(chance.randint(0, 20))])


def _value(chance: random.Random, depth: int) -> bytes:
    type_ = chance.choice("SsxbBUuIiLlfdDtTVFA" if depth else "SsxbBUuIiLlfdDtTV")
    fixed = {"b": 1, "B": 1, "t": 1, "s": 2, "U": 2, "u": 2, "I": 4, "i": 4, "f": 4, "L": 8, "l": 8, "d": 8}
    fixed |= {"D": 5, "T": 8, "V": 0}
    if type_ in fixed:
        return type_.encode() + chance.randbytes(fixed[type_])
    if type_ == "F":
        return b"F" + table(
            *[(_name(chance), _value(chance, depth - 1)) for _ in range(chance.randint(0, 3))]
        )
    if type_ == "A":
        content = b"".join(_value(chance, depth - 1) for _ in range(chance.randint(0, 3)))
    else:
        content = chance.choice([chance.randbytes(chance.randint(0, 60)), b"bzip2", b"application/x-gzip"])
    return type_.encode() + pack(">I", len(content)) + content


def _cut(chance: random.Random) -> bytes:
    whole = _odd(chance)
    return whole[: chance.randint(0, len(whole))]


def _changed(chance: random.Random) -> bytes:
    whole = bytearray(_odd(chance))
    for _ in range(chance.randint(1, 4)):
        whole[chance.randrange(len(whole))] = chance.randrange(256)
    return bytes(whole)


def _noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(0, 200))
