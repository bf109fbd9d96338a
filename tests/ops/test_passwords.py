"""A password is changed as docs/operations.md says: remove its file, make the secrets, tell the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import text

from booking_tasks.kit.database import create_booking_engine
from booking_tasks.kit.settings import load_settings
from booking_tasks.ops.secret_files import ROLES, write_secrets
from booking_tasks.ops.servers import Postgres
from tests.messages.access import GuardedValkey

NAME = "booking_tasks"
_ACCESS = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


class GuardedPostgres(Postgres):
    """A server that wants the passwords of a folder of secrets."""

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def make_secrets(self) -> list[str]:
        """What `booking-tasks secrets` does."""
        return write_secrets(self.secrets, postgres=f"127.0.0.1:{self.port}", database=NAME)

    def apply_roles(self) -> None:
        """Run roles.sql of the folder as superuser."""
        with psycopg.connect(self.url(NAME), autocommit=True) as superuser:
            superuser.execute((self.secrets / "roles.sql").read_text().encode())

    def service_url(self) -> str:
        return (self.secrets / "database_url").read_text()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedPostgres]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    with GuardedPostgres(folder / "postgres", durable=False) as server:
        (server.data / "pg_hba.conf").write_text(_ACCESS)
        with psycopg.connect(server.url(), autocommit=True) as superuser:
            superuser.execute("SELECT pg_reload_conf()")
            superuser.execute(f"CREATE DATABASE {NAME}".encode())
        server.make_secrets()
        server.apply_roles()
        yield server


def may_connect(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" not in str(error):
            raise
        return False
    return True


def test_a_password_of_the_database_is_changed_for_one_role(server: GuardedPostgres) -> None:
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
