"""A PostgreSQL that wants passwords, as a deployment has it."""

from __future__ import annotations

from pathlib import Path

import psycopg

from booking_tasks.ops.secret_files import write_secrets
from booking_tasks.ops.servers import Postgres

NAME = "booking_tasks"
#: `booking_outsider` may not come in from here.
_ACCESS = (
    "host all postgres 127.0.0.1/32 trust\n"
    "host all booking_outsider 127.0.0.1/32 reject\n"
    "host all all 127.0.0.1/32 scram-sha-256\n"
)


class GuardedPostgres(Postgres):
    """A server that wants the passwords of a folder of secrets."""

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def set_up(self) -> None:
        """Require passwords, and make the database and its roles."""
        (self.data / "pg_hba.conf").write_text(_ACCESS)
        with psycopg.connect(self.url(), autocommit=True) as superuser:
            superuser.execute("SELECT pg_reload_conf()")
            superuser.execute(f"CREATE DATABASE {NAME}".encode())
        self.make_secrets()
        self.apply_roles()

    def make_secrets(self) -> list[str]:
        """What `booking-tasks secrets` does."""
        return write_secrets(self.secrets, postgres=f"127.0.0.1:{self.port}", database=NAME)

    def apply_roles(self) -> None:
        """Run roles.sql of the folder as superuser."""
        with psycopg.connect(self.url(NAME), autocommit=True) as superuser:
            superuser.execute((self.secrets / "roles.sql").read_text().encode())

    def service_url(self) -> str:
        return (self.secrets / "database_url").read_text()
