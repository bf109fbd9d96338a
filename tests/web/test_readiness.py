"""/readyz: red with the names of what takes no write, and the remedy in the log."""

from __future__ import annotations

import psycopg
import pytest

from booking_tasks.kit.settings import settings
from booking_tasks.ops.servers import free_port
from booking_tasks.ops.start import examine_servers
from tests.accounts import WEB, as_role, as_superuser
from tests.guarded_postgres import NAME, GuardedPostgres
from tests.web.conftest import Web

REMEDIES = {
    "away": "start PostgreSQL, or correct DATABASE_URL",
    "wrong password": "correct user and password in DATABASE_URL",
    "read-only": "it names the primary",
}


@pytest.mark.parametrize("fault", REMEDIES)
def test_a_database_that_takes_no_write_is_named_and_its_remedy_logged(
    web: Web,
    own_database: str,
    guarded_postgres: GuardedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    assert web.get("/readyz").status_code == 200
    if fault == "read-only":
        name = own_database.rpartition("/")[2]
        with psycopg.connect(as_superuser(own_database), autocommit=True) as superuser:
            superuser.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    else:
        port = free_port() if fault == "away" else guarded_postgres.port
        monkeypatch.setenv("DATABASE_URL", f"postgresql://booking_app:wrong@127.0.0.1:{port}/{NAME}")
        settings.cache_clear()

    ready = web.get("/readyz")

    assert (ready.status_code, ready.text) == (503, "not ready: database\n")
    printed = capfd.readouterr()
    assert REMEDIES[fault] in printed.out + printed.err


def test_the_role_of_the_pages_starts_them_and_is_ready(
    web: Web, own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", as_role(own_database, WEB))
    settings.cache_clear()

    examine_servers(settings())
    assert web.get("/readyz").status_code == 200
