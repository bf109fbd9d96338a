"""Good messages with a token in them that is no JSON, cannot be stored, or occurs twice.

Parsers of JSON accept such tokens, or are reported to. Each token is put once into each part of each type of
call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any

from tests.messages.fuzz import asking
from tests.messages.raw import PREFIX, coded, search, submit

_TOKENS = (
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"9" * 5000,
    b"-" + b"9" * 5000,
    b"9" * 4300,
    b"1e308",
    b"-0",
    b"-0.0",
    b"1e-999",
    b"01",
    b"0x1F",
    b"1_000",
    b"True",
    b"'x'",
    b"[1,]",
    b"1 // one",
    rb'"\ud800"',
    rb'{"\udc00": 1}',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    rb'"\u0000"',
    b'"\x00"',
    b'{"a": 1, "a": 2}',
    b'{"request": 1, "request": {}}',
)
_PARTS = ("request", "headers", "properties", "envelope")
_CALLS = {"search_slots": search, "submit_request": submit, "dance": submit}


def with_tokens() -> Iterator[bytes]:
    """The elements."""
    for task in _CALLS:
        for part in _PARTS:
            names = cycle(_names(task, part))
            for token in _TOKENS:
                yield _element(task, part, next(names), token)


def _names(task: str, part: str) -> list[str]:
    """A field of no meaning, and those that are there already: the last of two is what parsers believe."""
    message = asking(PREFIX + task)
    fields = {"request": _CALLS[task](), "envelope": message, **message}[part]
    # Without an answer to look for, a question would leave no trace of having been asked.
    return ["x", *(name for name in fields if name != "ignore_result")]


def _element(task: str, part: str, name: str, token: bytes) -> bytes:
    def text(here: str, fields: dict[str, bytes]) -> bytes:
        pairs = [*fields.items(), *([(name, token)] if here == part else [])]
        return b"{" + b", ".join(b'"%s": %s' % (one.encode(), value) for one, value in pairs) + b"}"

    message = asking(PREFIX + task)
    body = b'[[], {"request": ' + text("request", _written(_CALLS[task]())) + b"}, {}]"
    parts = {one: text(one, _written(message[one])) for one in ("headers", "properties")}
    return text("envelope", _written(message | {"body": coded(body)}) | parts)


def _written(fields: dict[str, Any]) -> dict[str, bytes]:
    return {name: json.dumps(value).encode() for name, value in fields.items()}
