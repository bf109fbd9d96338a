"""`booking-tasks check` reports the configuration and the clocks of the servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from booking_tasks.ops import brokers
from booking_tasks.ops.check import LONG_QUEUE, _extension, _version, findings
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.findings import Finding
from booking_tasks.ops.servers import free_port
from tests.conftest import valkey_url
from tests.faults.test_clocks import WRONG_CLOCK
from tests.messages.access import GuardedValkey

POLICY = "maxmemory-policy"


def found(name: str) -> list[Finding]:
    return [one for one in findings() if one.check == name]


@pytest.fixture
def here(
    own_database: str, broker: str, platform: FakeMeetingPlatform, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """A deployment with a broker of its own; nobody looks at its mail server."""
    monkeypatch.setenv("REDIS_URL", broker)
    monkeypatch.setenv("BOOKING_MEETING_URL", platform.url)
    monkeypatch.setenv("BOOKING_SMTP_PORT", str(free_port()))
    return monkeypatch


@pytest.fixture
def server(broker: str) -> Iterator[redis.Redis]:
    """The broker's server, whose policy is put back."""
    with redis.Redis.from_url(broker) as connection:
        before = connection.config_get(POLICY)[POLICY]
        yield connection
        connection.config_set(POLICY, before)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GuardedValkey]:
    with GuardedValkey(tmp_path / "guarded", durable=False) as running:
        yield running


@pytest.mark.parametrize(("offset", "side"), [(30, "behind"), (-30, "ahead of")])
def test_clocks_more_than_two_seconds_apart_are_warned_of(
    here: pytest.MonkeyPatch, offset: int, side: str
) -> None:
    environment = dict(os.environ) | {"PYTHONPATH": WRONG_CLOCK, "WRONG_CLOCK": f"0:{offset}"}
    ran = subprocess.run(
        [sys.executable, "-m", "booking_tasks.ops", "check", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    [clock] = [one for one in json.loads(ran.stdout) if one["check"] == "clock"]
    assert clock["state"] == "warning"
    assert side in clock["seen"]
    assert clock["remedy"].startswith("synchronise both with NTP")


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_broker_that_drops_keys_when_it_is_full_is_warned_of(
    here: pytest.MonkeyPatch, server: redis.Redis, policy: str
) -> None:
    here.setenv("CELERY_RESULT_BACKEND", valkey_url(os.environ["REDIS_URL"], 14))
    server.config_set(POLICY, policy)
    for name in ("broker", "results"):
        [warned] = [one for one in found(name) if "drops keys" in one.seen]
        assert (warned.state, warned.remedy) == ("warning", "set maxmemory-policy noeviction")
        assert policy in warned.seen

    server.config_set(POLICY, "noeviction")
    assert [one for one in found("broker") + found("results") if "drops keys" in one.seen] == []


def test_a_broker_with_accounts_needs_a_password_and_hides_its_policy_from_workers(
    here: pytest.MonkeyPatch, guarded: GuardedValkey
) -> None:
    here.setenv("REDIS_URL", guarded.url_of("worker"))
    answers, unseen = found("broker")
    assert answers.line.startswith("ok       broker       redis://worker@127.0.0.1")
    assert (unseen.state, "this account may not read" in unseen.seen) == ("ok", True)
    assert "INFO memory as operator" in unseen.remedy
    assert found("queues")[0].state == "ok"


def test_a_queue_of_more_than_a_thousand_is_warned_of(here: pytest.MonkeyPatch, server: redis.Redis) -> None:
    server.rpush("notify", *range(LONG_QUEUE))
    assert [one.state for one in found("queues")] == ["ok"]

    server.rpush("notify", "one more")
    [queues] = found("queues")
    assert (queues.state, queues.remedy) == ("warning", "start more workers for the longest")
    assert "notify 1001" in queues.seen


def test_a_result_backend_of_its_own_is_looked_at_as_well(here: pytest.MonkeyPatch) -> None:
    assert found("results") == []
    url = valkey_url(os.environ["REDIS_URL"], 14)
    here.setenv("CELERY_RESULT_BACKEND", url)
    assert [one.seen for one in found("results")] == [f"{url} answers", f"{url} needs no password"]

    here.setenv("CELERY_RESULT_BACKEND", f"redis://127.0.0.1:{free_port()}/0")
    [away] = found("results")
    assert (away.state, away.remedy) == ("broken", "start it, or correct CELERY_RESULT_BACKEND")


@pytest.mark.parametrize(
    ("number", "state"), [(149_999, "broken"), (150_000, "ok"), (189_999, "ok"), (190_000, "warning")]
)
def test_a_postgresql_that_is_too_old_is_broken_and_one_that_nobody_tried_a_warning(
    number: int, state: str
) -> None:
    assert _version(number).state == state
    assert bool(_version(number).remedy) is (state != "ok")


def test_a_server_without_the_extension_is_distinguished_from_a_database_without_it(postgres: str) -> None:
    with psycopg.connect(postgres) as db:
        assert _extension(db).remedy == "run booking-tasks migrate"
        # Temporary tables hide the catalogue's: a server whose contrib package is not installed.
        db.execute("CREATE TEMP TABLE pg_available_extensions (name text, installed_version text)")
        assert _extension(db).remedy == "install postgresql-contrib there"


def test_time_zones_of_the_year_before_last_are_warned_of(here: pytest.MonkeyPatch) -> None:
    here.setattr("booking_tasks.ops.check.tzdata_version", lambda: "2020a")
    [zones] = found("time zones")
    assert (zones.state, "2020a" in zones.seen) == ("warning", True)
    assert "upgrade the tzdata package" in zones.remedy


def test_an_address_whose_pages_are_somebody_elses_is_warned_of(
    here: pytest.MonkeyPatch, platform: FakeMeetingPlatform
) -> None:
    here.setenv("BOOKING_LINK_SECRET", "of the tests, and long enough for it")
    here.setenv("BOOKING_PUBLIC_URL", platform.url)
    [_, links] = found("answers")
    assert (links.state, "/healthz answers 404" in links.seen) == ("warning", True)


def test_no_password_is_shown() -> None:
    url = "redis://worker:secret@broker.example:6380/2"
    assert brokers.without_password(url) == "redis://worker@broker.example:6380/2"


def test_a_guest_at_rabbitmq_counts_as_open() -> None:
    assert brokers.is_open("amqp://guest:guest@rabbit:5672//", 1)
    assert brokers.is_open("amqp://rabbit:5672//", 1)
    assert not brokers.is_open("amqp://worker:secret@rabbit:5672//", 1)
