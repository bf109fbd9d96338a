"""A PostgreSQL with a synchronous standby on loopback: the primary dies, the standby takes over.

Clients find both servers under one URL, each behind a wire that can lose the reply to a COMMIT.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from booking_tasks.ops.servers import Postgres, ServerError, wait_until
from tests.accounts import APP, as_deployed, migrate_with_roles
from tests.faults.fault_injector import crash
from tests.faults.proxy import Wire

#: A reply to COMMIT says that the standby has applied it. Killed processes lose nothing that the system has.
_OPTIONS = {
    "synchronous_commit": "remote_apply",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_retrieve_retry_interval": "100ms",
}
_TEMPLATE = "template_booking"
#: Backends whose commit waits for the standby.
_WAITING = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = %s"
_SECONDS = 120


class Replica(Postgres):
    """One server of the pair: the first primary, or a copy of another server that follows it."""

    def __init__(self, folder: Path, leader: Postgres | None = None) -> None:
        super().__init__(folder, leader.binaries if leader else None)
        self._leader = leader

    def command(self) -> list[str]:
        return [*super().command(), *(part for one in _OPTIONS.items() for part in ("-c", "=".join(one)))]

    def prepare(self) -> None:
        """Create the first primary, or copy the leader's files."""
        super().prepare() if self._leader is None else self._copy(self._leader)

    def _copy(self, leader: Postgres) -> None:
        arguments = [
            "-D",
            str(self.data),
            "-d",
            leader.url(),
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
        ]
        self._make_data_folder()
        made = subprocess.run(
            [str(self.binaries / "pg_basebackup"), *arguments],
            user=self.user,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServerError(f"pg_basebackup failed: {made.stderr.strip()}")

    def admin(self, statement: str, *arguments: object, database: str = "postgres") -> Any:
        """The first value of a statement's answer, as superuser; None when there is none."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), arguments or None)
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


class ReplicatedPostgres:
    """Two servers, of which one is the primary."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.primary = Replica(folder / "first")
        self.standby = self.primary
        self._name = ""
        self._wires: list[Wire] = []

    @property
    def cuts(self) -> int:
        """How many replies to a COMMIT were lost."""
        return sum(wire.cuts for wire in self._wires)

    def fresh(self) -> str:
        """A migrated database; its URL for the service's own role, over the wires to both servers."""
        self.cut_when(lambda: False)
        self._name = f"booking_{uuid4().hex[:12]}"
        with psycopg.connect(self.primary.url(), autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {self._name} TEMPLATE {_TEMPLATE}".encode())
            as_deployed(admin, self._name)
        hosts = ",".join(f"127.0.0.1:{wire.port}" for wire in self._wires)
        return f"postgresql://{APP}@{hosts}/{self._name}?connect_timeout=2"

    def cut_when(self, cut: Callable[[], bool]) -> None:
        """Lose the reply to each COMMIT for which `cut` says so."""
        for wire in self._wires:
            wire.cut = cut

    def sender(self) -> int:
        """The process of the primary that sends its log to the standby."""
        return int(self.primary.admin("SELECT pid FROM pg_stat_replication"))

    def waiting_commits(self) -> int:
        """How many commits wait for the standby."""
        return int(self.primary.admin(f"SELECT count(*) {_WAITING}", self._name))

    def end_waiting_commits(self) -> None:
        """End the connections whose commit waits; what they committed stays on the primary."""
        self.primary.admin(f"SELECT count(pg_terminate_backend(pid)) {_WAITING}", self._name)

    def count(self, table: str, request_id: UUID) -> int:
        """How many rows of a request the primary has."""
        rows = f"SELECT count(*) FROM {table} WHERE consultation_request_id = %s"
        return int(self.primary.admin(rows, request_id, database=self._name))

    def fail_over(self) -> None:
        """Kill the primary as when its host dies, and make the standby the primary; it has no standby yet."""
        self.crash_primary()
        self.take_over()

    def crash_primary(self) -> None:
        """Kill the primary for good."""
        crash(self.primary)

    def take_over(self) -> None:
        """Make the standby the primary."""
        self.primary, self.standby = self.standby, self.primary
        self.primary.admin("SELECT pg_promote(true, %s)", _SECONDS)

    def follow(self) -> None:
        """Make a new standby in the place of the server that was killed, and wait for it from now on."""
        dead = self.standby
        self.standby = Replica(self._folder / uuid4().hex[:8], self.primary)
        if dead is not self.primary:
            self.standby.port = dead.port
            shutil.rmtree(dead.data, ignore_errors=True)  # a hundred megabytes, perhaps in memory
        self.standby.start()
        self.primary.admin("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.admin("SELECT pg_reload_conf()")
        wait_until(self._is_synchronous, "a standby that follows", _SECONDS)

    def _is_synchronous(self) -> bool:
        return bool(
            self.primary.admin(
                "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
            )
        )

    def stop(self) -> None:
        """Stop both servers."""
        for server in (self.primary, self.standby):
            server.stop()

    @contextmanager
    def running(self) -> Iterator[ReplicatedPostgres]:
        """Start both servers with a migrated template."""
        try:
            self.primary.start()
            self.primary.admin(f"CREATE DATABASE {_TEMPLATE}")
            migrate_with_roles(self.primary.url(_TEMPLATE))
            self.follow()
            with Wire(self.primary.url()) as first, Wire(self.standby.url()) as second:
                self._wires = [first, second]
                yield self
        finally:
            self.stop()


@contextmanager
def replicated_postgres(folder: Path) -> Iterator[ReplicatedPostgres]:
    """A primary whose synchronous standby follows."""
    with ReplicatedPostgres(folder).running() as pair:
        yield pair
