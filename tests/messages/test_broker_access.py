"""The permissions of each user of the shipped ACL file on the broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError
from typer.testing import CliRunner

from booking_tasks.client import BookingClient, NotSentError
from booking_tasks.contracts import (
    Observation,
    Query,
    ReceiveReply,
    RecordAttendance,
    SearchSlots,
    UpsertUser,
)
from booking_tasks.enums import EvidenceType
from booking_tasks.kit.queues import QUEUES
from booking_tasks.ops.cli import cli
from booking_tasks.ops.secret_files import ACCESS, accounts_of, write_secrets
from tests.messages.access import GuardedValkey
from tests.messages.broker_permissions import FORBIDDEN_TO_PRODUCERS, MATRIX, QUEUE_OF, USERS
from tests.messages.raw import search


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedValkey]:
    """A broker with the shipped file."""
    with GuardedValkey(tmp_path_factory.mktemp("guarded"), durable=False) as running:
        yield running


def _run(broker: GuardedValkey, user: str, command: str) -> str:
    """`ok`, or the kind of refusal."""
    url = broker.url_of(user) if user != "health" else f"redis://health:any@127.0.0.1:{broker.port}/0"
    with redis.Redis.from_url(url, socket_timeout=2, protocol=2) as client:
        try:
            if command.startswith(("SUBSCRIBE", "PSUBSCRIBE")):
                connection = client.connection_pool.get_connection()
                connection.send_command(*command.split())
                connection.read_response()
            else:
                client.execute_command(*command.split())
        except redis.exceptions.NoPermissionError:
            return "denied"
        except redis.exceptions.AuthenticationError:
            return "unknown"
    return "ok"


def test_nobody_comes_in_without_a_name(guarded: GuardedValkey) -> None:
    for url in (f"redis://127.0.0.1:{guarded.port}/0", f"redis://:guess@127.0.0.1:{guarded.port}/0"):
        with redis.Redis.from_url(url) as client, pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=guarded.port, username="worker", password="guess").ping()


def test_every_user_has_a_password_of_its_own_and_only_its_hash_is_on_the_server(
    guarded: GuardedValkey,
) -> None:
    assert accounts_of((ACCESS / "redis.acl").read_text()) == sorted(USERS)
    file = (guarded.secrets / "redis.acl").read_text()
    passwords = [path.read_text() for path in sorted(guarded.secrets.glob("redis_*_password"))]

    assert len(passwords) == len(set(passwords)) == len(USERS)
    assert all(len(one) == 48 and one not in file for one in passwords)
    assert [line.split()[1] for line in file.splitlines() if " nopass " in line] == ["health"]


def test_secrets_are_made_once(guarded: GuardedValkey) -> None:
    before = {path.name: path.read_text() for path in guarded.secrets.iterdir()}

    assert write_secrets(guarded.secrets, redis=f"127.0.0.1:{guarded.port}") == []
    assert {path.name: path.read_text() for path in guarded.secrets.iterdir()} == before
    assert guarded.secrets.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("user", QUEUE_OF)
def test_a_producer_pushes_onto_its_own_queue_and_no_other(guarded: GuardedValkey, user: str) -> None:
    pushed = {queue: _run(guarded, user, f"LPUSH {queue} x") for queue in QUEUES}
    lists = [
        f"{QUEUE_OF[user]}\x06\x163",
        f"{QUEUE_OF[user]}2",
        f"my{QUEUE_OF[user]}",
        "unacked",
        "elsewhere",
    ]

    assert pushed == {queue: "ok" if queue == QUEUE_OF[user] else "denied" for queue in QUEUES}
    with redis.Redis.from_url(guarded.url_of(user)) as client:
        for one in lists:
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.lpush(one, "x")


@pytest.mark.parametrize("user", QUEUE_OF)
def test_a_producer_reads_its_answers_and_nothing_else(guarded: GuardedValkey, user: str) -> None:
    own = QUEUE_OF[user]
    allowed = (f"LLEN {own}", "GET celery-task-meta-x", "SUBSCRIBE celery-task-meta-x", "PING", "SELECT 1")
    forbidden = [command.format(own=own) for command in FORBIDDEN_TO_PRODUCERS]

    assert {one: _run(guarded, user, one) for one in allowed} == dict.fromkeys(allowed, "ok")
    assert {one: _run(guarded, user, one) for one in forbidden} == dict.fromkeys(forbidden, "denied")


@pytest.mark.parametrize("user", MATRIX)
def test_what_others_may_do(guarded: GuardedValkey, user: str) -> None:
    assert _run(guarded, "worker", "XADD booking:events * a b") == "ok"
    allowed, forbidden = MATRIX[user]

    assert {one: _run(guarded, user, one) for one in allowed} == dict.fromkeys(allowed, "ok")
    assert {one: _run(guarded, user, one) for one in forbidden} == dict.fromkeys(forbidden, "denied")


def _attendance() -> RecordAttendance:
    seen = Observation(
        evidence_type=EvidenceType.ROOM_OPENED,
        observed_at=datetime(2027, 3, 1, 9, tzinfo=UTC),
        external_id="1",
    )
    return RecordAttendance(
        message_id=uuid4(), actor="platform", session_id=uuid4(), source="platform", observations=(seen,)
    )


def _user() -> UpsertUser:
    return UpsertUser(
        message_id=uuid4(),
        actor="iam",
        user_id=uuid4(),
        name="Mira Lang",
        email="mira@example.org",
        time_zone="UTC",
    )


def _messages() -> dict[str, Query[Any]]:
    return {
        "producer-booking": SearchSlots.model_validate(search()),
        "producer-evidence": _attendance(),
        "producer-admin": _user(),
        "producer-replies": ReceiveReply(
            message_id=uuid4(), actor="mail", sender="mira@example.org", calendar="BEGIN:VCALENDAR"
        ),
    }


@pytest.mark.parametrize("user", QUEUE_OF)
def test_the_client_sends_as_this_user_what_is_for_its_queue_and_nothing_else(
    guarded: GuardedValkey, user: str
) -> None:
    client = BookingClient(guarded.url_of(user))
    try:
        for owner, message in _messages().items():
            if owner == user:
                client.send(message)
                client.send(message, wait=True)
            else:
                with pytest.raises(NotSentError, match="ermission"):
                    client.send(message)
    finally:
        client.close()


@pytest.mark.parametrize("user", QUEUE_OF)
def test_an_ordinary_celery_app_sends_as_this_user_too(guarded: GuardedValkey, user: str) -> None:
    with Celery("shop", broker=guarded.url_of(user), set_as_current=False) as shop:
        shop.send_task("booking_tasks.v1.x", kwargs={"request": {}}, queue=QUEUE_OF[user])
        with pytest.raises(OperationalError, match="ermission"):
            shop.send_task("booking_tasks.v1.x", kwargs={"request": {}}, queue="sweep")


def test_flower_may_listen(guarded: GuardedValkey) -> None:
    """Flower's way: Celery's own receiver of events, and the reply queue of its questions."""
    with redis.Redis.from_url(guarded.url_of("operator")) as operator:
        before = {entry["entry-id"] for entry in operator.acl_log()}
        with Celery("flower", broker=guarded.url_of("monitor"), set_as_current=False) as flower:
            with flower.connection() as connection, suppress(TimeoutError):
                flower.events.Receiver(connection, handlers={}).capture(limit=1, timeout=0.5, wakeup=False)
            assert flower.control.ping(timeout=0.2) == []
        refused = [entry for entry in operator.acl_log() if entry["entry-id"] not in before]

    assert refused == []


def test_the_file_that_is_shipped_names_no_password() -> None:
    text = (Path(ACCESS) / "redis.acl").read_text()

    assert ">" not in "".join(line for line in text.replace("<", "").splitlines() if " >" in line)
    assert "#<" in text


def test_the_command_makes_the_same_files(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    command = ["secrets", str(folder), "--redis", "broker:6380", "--postgres", "db:5433"]
    made = CliRunner().invoke(cli, command)
    assert made.exit_code == 0, made.output

    assert (folder / "redis_url").read_text().endswith("@broker:6380/0")
    url = urlsplit((folder / "database_url").read_text())
    assert (url.username, url.hostname, url.port) == ("booking_app", "db", 5433)
    assert url.password is not None
    assert f"ALTER ROLE booking_app PASSWORD '{url.password}';" in (folder / "roles.sql").read_text()
    assert CliRunner().invoke(cli, command).output == ""


def test_it_runs_before_anything_is_installed(tmp_path: Path) -> None:
    bare = [sys.executable, "-I", "-S", "-c", _BARE, str(tmp_path / "secrets")]
    subprocess.run(bare, cwd=tmp_path, check=True, timeout=30)

    assert (tmp_path / "secrets" / "redis.acl").exists()


_BARE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from booking_tasks.ops.secret_files import main
main(sys.argv[1:])
"""
