"""PostgreSQL's disk is full: new requests are not accepted, accepted ones are not lost."""

from __future__ import annotations

import os
import pwd
import random
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from booking_tasks.client import BookingClient, NoAnswerError
from booking_tasks.contracts import SubmitRequest
from tests.accounts import as_superuser
from tests.faults.conftest import Open
from tests.faults.invariants import examined
from tests.faults.running_service import RunningService, Servers, identity

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

_MEGABYTE = 1024 * 1024
_MOST = 400

#: The very error that PostgreSQL raises when a file cannot grow (disk_full, class 53), while a row says so.
_REFUSE = """
    CREATE TABLE disk (is_full bool NOT NULL);
    INSERT INTO disk VALUES (false);
    CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF (SELECT is_full FROM disk) THEN
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
        END IF;
        RETURN NEW;
    END $$
"""
_WRITTEN = ("inbox", "consultation_requests", "events", "jobs", "assignment_decisions", "scheduled_sessions")


def survives(service: RunningService, full: AbstractContextManager[None]) -> None:
    """Some requests before, some that are refused, and all of them once there is room again."""
    service.start()
    before = service.requests(10, random.Random(11))
    service.call(before)
    with full:
        tried = until_refused(service)
    assert 3 <= len(tried) < _MOST
    assert len(service.book.accepted) == len(before) + len(tried) - 3
    service.call(tried)
    service.calm()
    ledger = examined(service)
    assert ledger.wrong == ()
    assert (ledger.accepted, ledger.terminal, ledger.dead) == (10 + len(tried), 10 + len(tried), 0)


def until_refused(service: RunningService) -> list[SubmitRequest]:
    """Send large requests until three in a row are not accepted; all that were sent."""
    client, tried, refused = BookingClient(service.redis_url), list[SubmitRequest](), 0
    while refused < 3 and len(tried) < _MOST:
        request = large(service, len(tried))
        tried.append(request)
        service.book.sent[request.message_id] = request
        try:
            service.book.answers[request.message_id] = client.send(request, wait=True).outcome(timeout=5)
            refused = 0
        except NoAnswerError:
            refused += 1
    client.close()
    return tried


def large(service: RunningService, number: int) -> SubmitRequest:
    """A request that does not fit into what its tables have left."""
    return SubmitRequest(
        message_id=identity(f"large wish {number}"),
        actor="shop",
        request_id=identity(f"large request {number}"),
        requester_user_id=service.people[number % len(service.people)],
        service_type_id=service.service_type_id,
        details=secrets.token_hex(4500),
    )


def prepare(url: str) -> None:
    """Let every new row ask whether there is room; to be done before anybody works on the tables."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(_REFUSE)
        admin.execute("GRANT SELECT ON disk TO booking_app")
        for table in _WRITTEN:
            admin.execute(
                f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH ROW"
                " EXECUTE FUNCTION no_space()".encode()
            )


@contextmanager
def injected(url: str) -> Iterator[None]:
    """Every new row is refused with disk_full."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("UPDATE disk SET is_full = true")
        yield
        admin.execute("UPDATE disk SET is_full = false")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 48 MB at `folder`, with a folder for PostgreSQL; skips where mounting is forbidden."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small file system; the injected error stands in for it")
    try:
        space = folder / "space"
        space.mkdir(mode=0o700)
        owner = pwd.getpwnam("nobody")
        os.chown(space, owner.pw_uid, owner.pw_gid)
        folder.chmod(0o755)
        yield space
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)


@contextmanager
def filled(ballast: Path) -> Iterator[None]:
    """No byte is left on the disk that `ballast` lies on."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(_MEGABYTE)) == _MEGABYTE:
            pass
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    yield
    ballast.unlink()


def test_the_error_of_a_full_disk_refuses_requests_and_loses_none(open_service: Open) -> None:
    """The error itself, raised by triggers: it stands in where no small file system can be mounted."""
    with open_service() as service:
        url = as_superuser(service.stage.environment["DATABASE_URL"])
        prepare(url)
        survives(service, injected(url))


@pytest.mark.long
def test_a_full_disk_refuses_requests_and_loses_none(servers: Servers) -> None:
    """A real one: the database's files lie on 48 MB, the log of transactions elsewhere."""
    url, redis_url = servers.fresh()
    disk = servers.postgres.folder / "disk"  # a place that PostgreSQL's own user can reach
    with small_disk(disk) as space:
        with psycopg.connect(servers.postgres.url(), autocommit=True) as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
            admin.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET TABLESPACE small".encode())
        with RunningService(url, redis_url).open(4, 20) as service:
            survives(service, filled(disk / "ballast"))
        with psycopg.connect(servers.postgres.url(), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)".encode())
            admin.execute("DROP TABLESPACE small")
