"""Bad messages: name -> (queue, list element, reason of the dead letter).

There is one row for each thing that makes an ordinary worker die, stop receiving, drop a message silently or
obey it.
"""

from __future__ import annotations

import json
import pickle
import zlib
from typing import Any
from uuid import uuid4

from tests.messages.raw import OUT, PREFIX, element, envelope, nested, search, submit

_TASKS = (
    "backend_cleanup",
    "chord_unlock",
    "accumulate",
    "map",
    "starmap",
    "chunks",
    "group",
    "chain",
    "chord",
)
_CALLBACK: dict[str, Any] = {
    "task": PREFIX + "purge",
    "args": [],
    "kwargs": {},
    "options": {},
    "subtask_type": None,
}
_LATER = "2099-01-01T00:00:00+00:00"


def _call(**embed: object) -> bytes:
    return element(body=[[], {"request": search()}, embed])


ENVELOPES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("booking", b" ", "the message is not JSON"),
    "text": ("booking", b"hello, is anybody there?", "the message is not JSON"),
    "binary": ("booking", b"\x80\x04\x95\xff\xfe\x00", "the message is not JSON"),
    "UTF-16": ("booking", element().decode().encode("utf-16"), "the message is not JSON"),
    "half a message": ("booking", element()[:-20], "the message is not JSON"),
    "NaN": ("booking", b'{"body": NaN}', "the message is not JSON"),
    "a number of 5,000 digits": ("booking", b'{"body": ' + b"9" * 5000 + b"}", "the message is not JSON"),
    "a number beyond all": ("booking", b'{"body": 1e999}', "the message is not JSON"),
    "a number": ("booking", b"42", "the message is not a JSON object"),
    "a list": ("booking", b"[]", "the message is not a JSON object"),
    "null": ("booking", b"null", "the message is not a JSON object"),
    "an empty object": ("booking", b"{}", "headers is missing"),
    "no headers": (
        "booking",
        json.dumps(envelope() | {"headers": None}).encode(),
        "headers is missing",
    ),
    "headers a list": ("booking", json.dumps(envelope() | {"headers": []}).encode(), "headers is missing"),
    "no properties": (
        "booking",
        json.dumps(envelope() | {"properties": None}).encode(),
        "properties is missing",
    ),
    "no delivery tag": ("booking", element(properties={"delivery_tag": OUT}), "delivery_tag is missing"),
    "delivery tag an object": (
        "booking",
        element(properties={"delivery_tag": {}}),
        "delivery_tag is missing",
    ),
    "no delivery info": ("booking", element(properties={"delivery_info": OUT}), "delivery_info is missing"),
    "delivery info a text": (
        "booking",
        element(properties={"delivery_info": "x"}),
        "delivery_info is missing",
    ),
    "body a number": ("booking", json.dumps(envelope() | {"body": 7}).encode(), "body must be a string"),
    "body an object as it is": (
        "booking",
        json.dumps(envelope() | {"body": {}}).encode(),
        "body must be a string",
    ),
    "no body": (
        "booking",
        json.dumps({k: v for k, v in envelope().items() if k != "body"}).encode(),
        "body must be a string",
    ),
    "body not base64": (
        "booking",
        json.dumps(envelope() | {"body": "%%%"}).encode(),
        "body cannot be decoded",
    ),
    "body not UTF-8": ("booking", element(body=b'["\xff"]'), "body cannot be decoded"),
    "unknown body encoding": (
        "booking",
        element(properties={"body_encoding": "rot13"}),
        "body_encoding must be",
    ),
    "compressed": (
        "booking",
        element(body=zlib.compress(b"[" * 10_000_000), headers={"compression": "application/x-gzip"}),
        "headers.compression is not accepted",
    ),
    "larger than the cap": ("booking", element(body=b" " * 300_000), "larger than 262144 bytes"),
    "a body larger than the cap": ("booking", element(body=b" " * 170_000), "larger than 163840 bytes"),
    "900 levels in the envelope": (
        "booking",
        json.dumps(envelope(headers={"deep": "@"})).encode().replace(b'"@"', nested(900)),
        "the message is nested deeper than 20 levels",
    ),
    "100,000 open brackets": ("booking", b"[" * 100_000, "the message is nested deeper than 20 levels"),
}

MESSAGES: dict[str, tuple[str, bytes, str]] = {
    "no task": ("booking", element(headers={"task": OUT}), "headers.task is missing"),
    "task a list": ("booking", element(headers={"task": []}), "headers.task is missing"),
    "no id": ("booking", element(headers={"id": OUT}), "headers.id is missing"),
    "id a number": ("booking", element(headers={"id": 7}), "headers.id is missing"),
    "id with spaces": ("booking", element(headers={"id": "a b\r\nc"}), "headers.id is missing"),
    "timelimit a number": ("booking", element(headers={"timelimit": 5}), "headers.timelimit must be"),
    "timelimit of texts": (
        "booking",
        element(headers={"timelimit": ["a", "b"]}),
        "headers.timelimit must be",
    ),
    "timelimit too long": ("booking", element(headers={"timelimit": [1, 2, 3]}), "headers.timelimit must be"),
    "bad eta": ("booking", element(headers={"eta": "tomorrow"}), "headers.eta is not accepted"),
    "good eta": ("booking", element(headers={"eta": _LATER}), "headers.eta is not accepted"),
    "bad expires": ("booking", element(headers={"expires": "soon"}), "headers.expires must be"),
    "expires an object": ("booking", element(headers={"expires": {}}), "headers.expires must be"),
    "expires beyond time": (
        "booking",
        element(headers={"expires": "9999-12-31T23:59:59-14:00"}),
        "headers.expires must be",
    ),
    "group": ("booking", element(headers={"group": str(uuid4())}), "headers.group is not accepted"),
    "chord in the headers": (
        "booking",
        element(headers={"chord": _CALLBACK}),
        "headers.chord is not accepted",
    ),
    "callbacks": ("booking", _call(callbacks=[_CALLBACK]), "callbacks are not accepted"),
    "errbacks": ("booking", _call(errbacks=[_CALLBACK]), "errbacks are not accepted"),
    "chain": ("booking", _call(chain=[_CALLBACK]), "chain are not accepted"),
    "chord": ("booking", _call(chord=_CALLBACK), "chord are not accepted"),
    "body of two": ("booking", element(body=[[], {}]), "the body must be a list of three"),
    "body of four": ("booking", element(body=[[], {}, {}, {}]), "the body must be a list of three"),
    "body an object": (
        "booking",
        element(body={"args": [], "kwargs": {}}),
        "the body must be a list of three",
    ),
    "protocol 1": (
        "booking",
        element(headers={"task": OUT, "id": OUT}, body={"task": PREFIX + "purge", "id": "1", "args": []}),
        "headers.task is missing",
    ),
    "body of wrong kinds": ("booking", element(body=[{}, [], {}]), "must be a list, an object and an object"),
    "embed a list": ("booking", element(body=[[], {}, []]), "must be a list, an object and an object"),
    "body not JSON": ("booking", element(body=b"hello"), "the body is not JSON"),
    "body with Infinity": (
        "booking",
        element(body=b'[[], {"request": Infinity}, {}]'),
        "the body is not JSON",
    ),
    "a number beyond all in the body": (
        "booking",
        element(body=b'[[], {"request": {"limit": 1e999}}, {}]'),
        "the body is not JSON",
    ),
    "a number beyond all for a task of another release": (
        "booking",
        element(PREFIX + "dance", body=b'[[], {"request": {"limit": -1e999}}, {}]'),
        "the body is not JSON",
    ),
    "body empty": ("booking", element(body=b""), "the body is not JSON"),
    "900 levels in the body": (
        "booking",
        element(body=b'[[], {"request": ' + nested(900) + b"}, {}]"),
        "the body is nested deeper than 20 levels",
    ),
    "a NUL in the body": (
        "booking",
        element(body=[[], {"request": search() | {"limit": "\0"}}, {}]),
        "a NUL character or half",
    ),
    "half a character": (
        "booking",
        element(body=[[], {"request": {"\ud800": 1}}, {}]),
        "a NUL character or half",
    ),
    "pickle": (
        "booking",
        element(
            body=pickle.dumps([[], {}, {}]),
            **{"content-type": "application/x-python-serialize", "content-encoding": "binary"},
        ),
        "body cannot be decoded",
    ),
    "pickle of ASCII": (
        "booking",
        element(
            body=pickle.dumps([[], {}, {}], protocol=0),
            **{"content-type": "application/x-python-serialize", "content-encoding": "binary"},
        ),
        "content-type must be application/json",
    ),
    "yaml": (
        "booking",
        element(body=b"- []\n- {}\n- {}\n", **{"content-type": "application/x-yaml"}),
        "content-type must be application/json",
    ),
    "no content type": (
        "booking",
        element(**{"content-type": OUT}),
        "content-type must be application/json",
    ),
    "content type a list": (
        "booking",
        element(**{"content-type": []}),
        "content-type must be application/json",
    ),
    "unknown content encoding": (
        "booking",
        element(**{"content-encoding": "klingon"}),
        "content-encoding must be utf-8",
    ),
    "a task of somebody else": ("booking", element("shop.v1.pay"), "there is no such task"),
    "positional arguments": (
        "booking",
        element(body=[[search()], {}, {}]),
        "positional arguments are not accepted",
    ),
    "an unknown argument": (
        "booking",
        element(body=[[], {"request": search(), "force": True}, {}]),
        "1 keyword arguments that",
    ),
    "a wake-up that names a job": (
        "notify",
        element(PREFIX + "send_invite", [[], {"job_id": "x"}, {}]),
        "1 keyword arguments that",
    ),
    "no argument": ("booking", element(body=[[], {}, {}]), "request: Input should be"),
    "a request that is none": ("booking", element(body=[[], {"request": 7}, {}]), "request: Input should be"),
    "the guard's own task": (
        "booking",
        element(
            PREFIX + "dead_letter_message",
            [[], {"task": "x", "reason": "y", "message_id": None, "payload": {}, "queue": "z"}, {}],
        ),
        "there is no such task",
    ),
} | {
    f"Celery's own {name}": ("booking", element(f"celery.{name}", [[], {}, {}]), "there is no such task")
    for name in _TASKS
}

#: A message in a queue that is not its task's own, whatever it says about where it lies.
TRUST: dict[str, tuple[str, bytes, str]] = {
    f"{task} in {queue}": (
        queue,
        element(
            PREFIX + task,
            [[], arguments, {}],
            properties={"delivery_info": {"exchange": "", "routing_key": own}},
        ),
        f"taken from the queue {own} only",
    )
    for task, own, arguments in (
        ("submit_request", "booking", {"request": submit()}),
        ("record_billing", "evidence", {"request": {}}),
        ("upsert_user", "admin", {"request": {}}),
        ("send_invite", "notify", {}),
        ("purge", "sweep", {}),
    )
    for queue in ("booking", "evidence", "admin")
    if queue != own
}
