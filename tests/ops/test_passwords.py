"""A password is changed as docs/operations.md says: remove its file, make the secrets, tell the server."""

from __future__ import annotations

import psycopg
import pytest
import redis
from sqlalchemy import text

from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.settings import load_settings
from booking_tasks.ops.secret_files import ROLES
from tests.guarded_postgres import NAME, GuardedPostgres
from tests.messages.access import GuardedValkey


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
