"""A password is changed as docs/operations.md says: remove its file, make the secrets, tell the server."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import amqp
import psycopg
import pytest
import redis
from kombu import Connection
from sqlalchemy import text

from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.settings import load_settings
from booking_tasks.kit.signed_links import Grant, Links
from booking_tasks.ops.secret_files import ROLES, write_secrets
from tests.builders import NOW
from tests.guarded_postgres import NAME, GuardedPostgres
from tests.messages.access import GuardedRabbitMQ, GuardedValkey


def may_connect(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False
    return True


def test_a_password_of_the_database_is_changed_for_one_role(guarded_postgres: GuardedPostgres) -> None:
    server = guarded_postgres
    old = server.service_url()
    others = {
        role: (server.secrets / f"{role}_password").read_text() for role in ROLES if role != "booking_app"
    }
    engine = create_booking_engine(load_settings({"database_url": old}))
    with engine.connect() as pooled:
        pooled.execute(text("SELECT 1"))
        (server.secrets / "booking_app_password").unlink()
        assert sorted(server.make_secrets()) == ["booking_app_password", "database_url", "roles.sql"]
        new = server.service_url()
        assert [may_connect(url) for url in (old, new)] == [True, False]

        server.apply_roles()
        assert [may_connect(url) for url in (old, new)] == [False, True]
        pooled.execute(text("SELECT 1"))  # an open connection stays; a new process needs the new password
    engine.dispose()
    for role, password in others.items():
        assert may_connect(f"postgresql://{role}:{password}@127.0.0.1:{server.port}/{NAME}")


def test_a_password_of_the_broker_is_changed_by_a_restart_that_keeps_the_messages(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    server = GuardedValkey(tmp_path_factory.mktemp("broker"))
    with server:
        old = server.url_of("worker")
        with redis.Redis.from_url(server.url_of("producer-booking")) as producer:
            producer.lpush("booking", "message")
        (server.secrets / "redis_worker_password").unlink()
        server.stop()
        server.start()  # its preparation makes the secrets again
        new = server.url_of("worker")
        assert new != old
        with redis.Redis.from_url(new) as worker:
            assert worker.llen("booking") == 1
        with redis.Redis.from_url(old) as worker, pytest.raises(redis.AuthenticationError):
            worker.ping()
        with redis.Redis.from_url(server.url_of("producer-booking")) as producer:
            producer.lpush("booking", "another")


def comes_in(url: str) -> bool:
    """Whether RabbitMQ accepts the password of a URL."""
    parts = urlsplit(url)
    address, host = f"{parts.hostname}:{parts.port}", parts.path[1:]
    try:
        amqp.Connection(address, parts.username, parts.password, virtual_host=host).connect()
    except amqp.AccessRefused:
        return False
    return True


@pytest.mark.rabbitmq
def test_a_password_of_rabbitmq_is_changed_by_an_import_that_keeps_connections_and_messages(
    guarded_rabbitmq: GuardedRabbitMQ,
) -> None:
    server, secrets = guarded_rabbitmq, guarded_rabbitmq.secrets
    old, sender = server.url_of("worker"), server.url_of("producer-evidence")
    with Connection(sender, transport_options={"confirm_publish": True}) as connection:
        connection.default_channel.basic_publish(amqp.Message("kept"), "booking.evidence", "evidence")
    with Connection(old) as open_connection:
        open_connection.connect()
        (secrets / "rabbitmq_worker_password").unlink()
        changed = ["rabbitmq_definitions.json", "rabbitmq_url", "rabbitmq_worker_password"]
        assert sorted(server.make_secrets()) == changed
        new = server.url_of("worker")
        assert [comes_in(url) for url in (old, new)] == [True, False]

        server.import_definitions((secrets / "rabbitmq_definitions.json").read_text())
        assert [comes_in(url) for url in (old, new, sender)] == [False, True, True]
        open_connection.default_channel.queue_declare("evidence", passive=True)
    with Connection(new) as connection:
        assert connection.default_channel.basic_get("evidence", no_ack=True).body == "kept"


def test_a_new_secret_of_the_links_ends_those_that_are_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOKING_PUBLIC_URL", "https://booking.example.org")
    monkeypatch.setenv("BOOKING_LINK_SECRET_FILE", str(tmp_path / "link_secret"))
    grant = Grant("answers", UUID(int=1), UUID(int=2), NOW + timedelta(days=1))

    def links() -> Links:
        """The links of a process that starts now."""
        made = load_settings().links
        assert made is not None
        return made

    write_secrets(tmp_path)
    in_use = links().token(grant)
    assert links().read("answers", in_use) == grant

    (tmp_path / "link_secret").unlink()
    assert write_secrets(tmp_path) == ["link_secret"]

    assert links().read("answers", in_use) is None
    assert links().read("answers", links().token(grant)) == grant
