"""The local platform, and what we ask of any platform, keep the documented contract."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
import yaml
from jsonschema import Draft202012Validator

from booking_tasks.kit.ids import uuid7
from booking_tasks.meetings.provider import HttpMeetingPlatform
from booking_tasks.meetings.rules import RoomSpec
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.servers import free_port, wait_until
from tests.builders import NOW

CONTRACT: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[2] / "docs" / "meeting-platform.openapi.yaml").read_text(encoding="utf-8")
)
BODY = {
    "revision": 0,
    "starts_at": "2027-03-03T09:00:00Z",
    "ends_at": "2027-03-03T10:00:00Z",
    "requester_user_id": str(uuid7()),
    "consultant_user_id": str(uuid7()),
}
MOVED = BODY | {"revision": 1, "starts_at": "2027-03-04T09:00:00Z", "ends_at": "2027-03-04T10:00:00Z"}


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = CONTRACT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def checked(schema: dict[str, Any], value: Any) -> None:
    validator = Draft202012Validator(
        {"components": CONTRACT["components"], **schema},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    validator.validate(value)


def operation(method: str, target: str) -> tuple[str, dict[str, Any]]:
    """The documented operation that a call belongs to."""
    path = target.partition("?")[0]
    for template, operations in CONTRACT["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            return template, operations[method.lower()]
    raise AssertionError(f"{method} {path} is not in the contract")


class Caller:
    """Calls the platform and holds every answer against the contract."""

    def __init__(self, url: str) -> None:
        self.client = httpx2.Client(base_url=url, timeout=10)
        self.seen: set[tuple[str, str]] = set()

    def __call__(self, method: str, target: str, expected: int, **options: Any) -> Any:
        answer = self.client.request(method, target, **options)
        assert answer.status_code == expected, answer.text
        _, documented = operation(method, target)
        name = str(expected) if expected < 500 else "5XX"
        response = resolved(documented["responses"][name])
        for header in response.get("headers", {}):
            checked(resolved(response["headers"][header])["schema"], int(answer.headers[header]))
        self.seen.add((documented["operationId"], name))
        if "content" not in response:
            assert answer.content == b""
            return None
        assert answer.headers["content-type"] == "application/json"
        checked(response["content"]["application/json"]["schema"], answer.json())
        return answer.json()

    def put(self, session_id: UUID, key: str, body: Any, expected: int) -> Any:
        return self("PUT", f"/rooms/{session_id}", expected, json=body, headers={"Idempotency-Key": key})


@pytest.fixture
def platform() -> Any:
    with FakeMeetingPlatform() as running:
        yield running


@pytest.fixture
def call(platform: FakeMeetingPlatform) -> Any:
    caller = Caller(platform.url)
    yield caller
    caller.client.close()


def test_the_answers_of_the_local_platform_are_exactly_the_documented_ones() -> None:
    session_id = uuid7()
    with FakeMeetingPlatform(token="right") as platform:
        call = Caller(platform.url)
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", "/rooms", {}),
            ("PUT", f"/rooms/{session_id}", {"json": BODY, "headers": {"Idempotency-Key": "k1"}}),
            ("GET", f"/rooms/{session_id}", {}),
            ("DELETE", f"/rooms/{session_id}", {"headers": {"Idempotency-Key": "k2"}}),
            ("GET", f"/rooms/{session_id}/attendance", {}),
        ]
        for method, target, options in calls:
            call(method, target, 401, **options)
        call.client.headers["Authorization"] = "Bearer right"
        for status in (403, 429, 500, 503):
            platform.control(fail_next=len(calls), status=status)
            for method, target, options in calls:
                call(method, target, status, **options)
        assert platform.rooms() == {}

        call("GET", "/rooms", 400, params={"from": "yesterday"})
        for method, ending in (("PUT", ""), ("GET", ""), ("DELETE", ""), ("GET", "/attendance")):
            call(method, f"/rooms/7{ending}", 400, headers={"Idempotency-Key": "k3"})
        for method, target, _ in calls[2:]:
            call(method, target, 404, headers={"Idempotency-Key": "k4"})
        call.put(session_id, "k5", BODY | {"name": "Mira"}, 422)
        call.put(session_id, "k6", BODY, 201)
        call.put(session_id, "k6", MOVED, 409)
        platform.presence(
            session_id, [{"id": "1", "evidence_type": "room_opened", "observed_at": "2027-03-03T09:00:00Z"}]
        )
        for method, target, options in calls:
            call(method, target, 204 if method == "DELETE" else 200, **options)
        call.client.close()
    documented = {
        (operations[method]["operationId"], status)
        for operations in CONTRACT["paths"].values()
        for method in operations.keys() & {"get", "put", "delete"}
        for status in operations[method]["responses"]
    }
    assert call.seen == documented


def test_the_same_key_or_the_same_body_returns_the_same_room(
    platform: FakeMeetingPlatform, call: Caller
) -> None:
    session_id = uuid7()
    first = call.put(session_id, "key", BODY, 201)
    assert call.put(session_id, "key", BODY, 200) == first
    assert call.put(session_id, "another", BODY, 200) == first
    assert call("GET", f"/rooms/{session_id}", 200) == first
    assert len(platform.rooms()) == 1


def test_new_times_change_the_room_that_is_there(call: Caller) -> None:
    session_id = uuid7()
    first = call.put(session_id, "key-0", BODY, 201)
    assert call.put(session_id, "key-1", MOVED, 200) == first
    assert call("GET", "/rooms", 200) == [
        {"session_id": str(session_id), "starts_at": MOVED["starts_at"], "ends_at": MOVED["ends_at"]}
    ]


def test_a_body_of_an_older_revision_that_arrives_late_changes_nothing(
    platform: FakeMeetingPlatform, call: Caller
) -> None:
    session_id = uuid7()
    call.put(session_id, "key-1", MOVED, 201)
    call.put(session_id, "key-0", BODY, 200)
    assert platform.rooms()[session_id]["starts_at"] == MOVED["starts_at"]


def test_the_list_holds_the_starts_from_from_until_before_until(call: Caller) -> None:
    early, late = uuid7(), uuid7()
    call.put(early, "a", BODY, 201)
    call.put(late, "b", MOVED, 201)
    window = {"from": BODY["starts_at"], "until": MOVED["starts_at"]}
    assert [room["session_id"] for room in call("GET", "/rooms", 200, params=window)] == [str(early)]


def test_a_closed_room_is_gone_and_its_attendance_stays(call: Caller) -> None:
    session_id = uuid7()
    call.put(session_id, "a", BODY, 201)
    delete = {"headers": {"Idempotency-Key": "b"}}
    call("DELETE", f"/rooms/{session_id}", 204, **delete)
    call("DELETE", f"/rooms/{session_id}", 404, **delete)
    call("GET", f"/rooms/{session_id}", 404)
    report = call("GET", f"/rooms/{session_id}/attendance", 200)
    assert report == {"complete": False, "observations": []}


def test_presence_and_misbehaviour_are_set_over_http_and_every_call_is_in_the_ledger(
    platform: FakeMeetingPlatform, call: Caller
) -> None:
    session_id = uuid7()
    seen = {"id": "1", "evidence_type": "joined", "user_id": "x", "observed_at": "2027-03-03T09:01:00Z"}
    response = call.client.post(
        "/_control/presence",
        json={"session_id": str(session_id), "observations": [seen], "complete": True},
    )
    assert response.status_code == 204
    assert call.client.post("/_control", json={"repeat_answers": True, "fail_next": 1}).status_code == 204
    assert call.client.post("/_control", json={"weather": "bad"}).status_code == 422
    call("GET", f"/rooms/{session_id}/attendance", 503)
    report = call("GET", f"/rooms/{session_id}/attendance", 200)
    assert report == {"complete": True, "observations": [seen, seen]}
    call.put(session_id, "key", BODY, 201)

    ledger = call.client.get("/_ledger").json()
    assert [(one["method"], one["path"], one["idempotency_key"], one["status"]) for one in ledger] == [
        ("GET", f"/rooms/{session_id}/attendance", None, 503),
        ("GET", f"/rooms/{session_id}/attendance", None, 200),
        ("PUT", f"/rooms/{session_id}", "key", 201),
    ]
    assert ledger == platform.ledger()


def test_what_we_send_keeps_the_contract(platform: FakeMeetingPlatform) -> None:
    spec = RoomSpec(
        session_id=uuid7(),
        revision=3,
        starts_at=NOW,
        ends_at=NOW + timedelta(minutes=45),
        requester_user_id=uuid7(),
        consultant_user_id=uuid7(),
    )
    key = f"provision_meeting:{spec.session_id}:3"
    with HttpMeetingPlatform(platform.url, None, timedelta(seconds=5)) as ours:
        ours.ensure(key, spec)
        assert [room.session_id for room in ours.rooms(NOW, NOW + timedelta(days=20))] == [spec.session_id]
        ours.attendance(spec.session_id)
        ours.end("close", spec.session_id)
    ledger = platform.ledger()
    put = next(one for one in ledger if one["method"] == "PUT")
    _, documented = operation("PUT", put["path"])
    checked(documented["requestBody"]["content"]["application/json"]["schema"], json.loads(put["body"]))
    header = resolved(documented["parameters"][0])
    assert header["name"] == "Idempotency-Key"
    checked(header["schema"], put["idempotency_key"])
    assert put["idempotency_key"] == key
    for one in ledger:
        _, documented = operation(one["method"], one["path"])
        names = {part["name"]: part for part in map(resolved, documented.get("parameters", []))}
        for name, value in httpx2.URL(one["path"]).params.items():
            checked(names[name]["schema"], value)
    assert sum(one["path"].startswith("/rooms?") for one in ledger) == 3


def test_the_local_platform_runs_as_a_program_and_keeps_its_rooms_in_its_state_file(tmp_path: Path) -> None:
    port, session_id, state = free_port(), uuid7(), tmp_path / "rooms.json"
    command = [
        sys.executable,
        "-m",
        "booking_tasks.ops.fake_meeting_platform",
        "--port",
        str(port),
        "--state",
        str(state),
    ]
    rooms = []
    for status in (201, 200):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert f":{port}" in running.stdout.readline()
            caller = Caller(f"http://127.0.0.1:{port}")
            rooms.append(caller.put(session_id, "key", BODY, status))
            caller.client.close()
            running.terminate()
            assert running.wait(10) == 0
    assert rooms[0] == rooms[1]
    wait_until(state.exists, "the state file")
