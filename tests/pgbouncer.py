"""A real PgBouncer in front of a PostgreSQL, on loopback."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from booking_tasks.ops.servers import Server, _open_to_others
from tests.system_packages import program

PoolMode = Literal["session", "transaction", "statement"]
#: What people set when PgBouncer refuses the parameter `options`: it is accepted, and has no effect.
IGNORE_OPTIONS = {"ignore_startup_parameters": "options,extra_float_digits"}
_USERS = ("booking_app", "booking_migrator", "booking_web", "booking_reader", "postgres")


class PgBouncer(Server):
    """A PgBouncer that passes every database on to one PostgreSQL and trusts every user, as that does."""

    name = "pgbouncer"

    def __init__(self, folder: Path, postgres_url: str, pool_mode: PoolMode, **settings: Any) -> None:
        super().__init__(folder)
        self.postgres_url, self.pool_mode, self.settings = postgres_url, pool_mode, settings

    @property
    def user(self) -> str | None:
        return "nobody" if os.geteuid() == 0 else None  # PgBouncer refuses to run as root

    def prepare(self) -> None:
        target = urlsplit(self.postgres_url)
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": self.folder / "users.txt",
            "admin_users": "postgres",
            "pool_mode": self.pool_mode,
            "default_pool_size": 10,
            "max_client_conn": 200,
            **self.settings,
        }
        lines = ["[databases]", f"* = host={target.hostname} port={target.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self.folder / "pgbouncer.ini").write_text("\n".join([*lines, ""]))
        (self.folder / "users.txt").write_text("".join(f'"{user}" ""\n' for user in _USERS))
        _open_to_others(self.folder, self.folder)

    def command(self) -> list[str]:
        return [str(program("pgbouncer")), str(self.folder / "pgbouncer.ini")]

    def url_of(self, url: str) -> str:
        """The URL of the same database and role through this pooler."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()
