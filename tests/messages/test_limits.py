"""Whatever a contract allows passes the guard, in any script; the rest is refused with the field at fault."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError

from booking_tasks.client import BookingClient
from booking_tasks.contracts import SubmitRequest, field_errors
from booking_tasks.contracts.base import MAX_REQUEST_BYTES
from booking_tasks.guard.envelope import MAX_BODY_BYTES, MAX_MESSAGE_BYTES, clean_envelope
from booking_tasks.guard.rules import Admitted, ReceivedMessage, judge
from tests.messages.raw import PREFIX, element, submit
from tests.messages.test_rules import ENTRY_POINTS, judged

TASK = PREFIX + "submit_request"
#: The longest texts: as UTF-8 and as ASCII, quoted once or twice, they have very different sizes.
TEXTS = {
    "ascii": "x" * 10_000,
    "quotes": '"' * 10_000,
    "line ends": "a\n" * 5_000,
    "cyrillic": "ж" * 10_000,
    "chinese": "汉" * 10_000,
    "six thousand emoji": "😀" * 6_000,
    "emoji": "😀" * 10_000,
    "families": ("👨‍👩‍👧‍👦" * 2_000)[:10_000],
    "unassigned": "\U0010ffff" * 10_000,
}


def command(**values: Any) -> SubmitRequest:
    return SubmitRequest.model_validate(submit() | values)


def bodies(request: dict[str, Any]) -> list[bytes]:
    """The body as encoders write it: in ASCII and in UTF-8."""
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    call = [[], {"request": request}, embed]
    return [json.dumps(call).encode(), json.dumps(call, ensure_ascii=False).encode()]


@pytest.mark.parametrize("name", TEXTS)
def test_details_of_any_script_pass_the_guard_at_their_limit(name: str) -> None:
    request = command(details=TEXTS[name]).model_dump(mode="json", exclude_none=True)
    for body in bodies(request):
        as_text = json.loads(element(TASK, body))
        as_text["body"] = body.decode()
        del as_text["properties"]["body_encoding"]
        for one in (element(TASK, body), json.dumps(as_text).encode()):
            assert isinstance(judged(one), Admitted), name
        headers = {"task": TASK, "id": "1"}
        message = ReceivedMessage(headers, body, "application/json", "utf-8", "booking")
        assert isinstance(judge(message, ENTRY_POINTS), Admitted)


def test_the_longest_message_of_a_contract_is_below_the_limits_of_the_guard() -> None:
    allowed = [f"{number:03}" + "😀" * 197 for number in range(50)]
    while True:
        try:
            longest = command(details="😀" * 10_000, required_specializations=tuple(allowed))
        except ValidationError:
            allowed.pop()
        else:
            break
    request = longest.model_dump(mode="json", exclude_none=True)
    size = len(json.dumps(request))
    assert MAX_REQUEST_BYTES - 3_000 < size <= MAX_REQUEST_BYTES
    assert len(bodies(request)[0]) + MAX_REQUEST_BYTES - size < MAX_BODY_BYTES
    assert len(element(TASK, bodies(request)[0])) + 2 * (MAX_REQUEST_BYTES - size) < MAX_MESSAGE_BYTES
    assert b"fault" not in clean_envelope(element(TASK, bodies(request)[0]), "booking", "tag")


def test_a_message_that_would_be_too_long_is_refused_with_its_longest_field() -> None:
    long_texts = tuple(f"{number:03}" + "😀" * 197 for number in range(50))
    with pytest.raises(ValidationError) as refused:
        command(details="😀" * 10_000, required_specializations=long_texts)

    [problem] = field_errors([dict(one) for one in refused.value.errors(include_url=False)])
    assert problem.field == "details"
    assert problem.problem.startswith("is too long: the message has more than 160000 bytes of JSON")


@pytest.mark.parametrize(
    ("contract", "values", "field"),
    [
        (SubmitRequest, {"details": "a\0b"}, "details"),
        (SubmitRequest, {"required_specializations": ["a\0b"]}, "required_specializations.0"),
    ],
)
def test_a_character_that_the_guard_refuses_is_refused_by_the_contract(
    contract: Any, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        contract.model_validate(submit() | values)

    [problem] = field_errors([dict(one) for one in refused.value.errors(include_url=False)])
    assert problem.field == field


def test_a_mail_address_with_a_nul_is_refused_like_every_other_text() -> None:
    from booking_tasks.contracts import ReceiveReply

    mail = {"message_id": uuid4(), "actor": "gateway", "sender": "a\0b@example.org", "calendar": "x"}
    with pytest.raises(ValidationError, match="must not contain the NUL character"):
        ReceiveReply.model_validate(mail)


def test_a_text_that_only_writes_about_nul_is_no_nul() -> None:
    assert command(details="\\u0000").details == "\\u0000"


def test_the_client_refuses_what_is_too_long_before_it_sends() -> None:
    client = BookingClient("redis://127.0.0.1:1/0")
    changed = command().model_copy(update={"details": "x" * (MAX_REQUEST_BYTES + 1)})

    with pytest.raises(ValueError, match="submit_request: has more than 160000 bytes of JSON"):
        client.send(changed)
