"""The parts of the tests that need a package of the system, and what happens where it is not installed.

A test of such a part carries its marker. Where the package is missing the test is skipped, and the run ends
with one line for each part and the command that installs it. With BOOKING_REQUIRE_ALL=1 the run fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from booking_tasks.ops.servers import system_postgres_binaries


def program(name: str) -> Path | None:
    """The program of this name on PATH, or in the `sbin` beside one of its `bin` folders.

    Debian puts servers into /usr/sbin, which is not on the PATH of every user.
    """
    folders = [Path(one) for one in os.get_exec_path() if one]
    beside = [folder.with_name("sbin") for folder in folders if folder.name == "bin"]
    found = shutil.which(name, path=os.pathsep.join(map(str, (*folders, *beside))))
    return None if found is None else Path(found)


def _has_system_postgres() -> bool:
    return system_postgres_binaries() is not None


def _postgres_version() -> str:
    """The version of the installed PostgreSQL, where Debian put it; else that of Debian 12."""
    binaries = system_postgres_binaries()
    version = binaries.parent.name if binaries is not None else ""
    return version if version.isdecimal() else "15"


def _has_plpgsql_check() -> bool:
    """Whether the extension is there for the PostgreSQL that `system_postgres` starts."""
    binaries = system_postgres_binaries()
    if binaries is None:
        return False
    share = binaries.parent / "share"
    places = (share, share / "postgresql", Path("/usr/share/postgresql") / _postgres_version())
    return any((place / "extension/plpgsql_check.control").exists() for place in places)


@dataclass(frozen=True)
class Part:
    """The tests of one marker: their subject, and the Debian packages that they need."""

    subject: str
    packages: str
    is_installed: Callable[[], bool]

    @property
    def command(self) -> str:
        return f"apt-get install {self.packages}"

    @property
    def reason(self) -> str:
        """Why its tests do not run; the end of the run counts the reports that have this reason."""
        return f"needs {self.subject}: {self.command}"


def _needs_programs(*names: str) -> Callable[[], bool]:
    return lambda: all(program(name) for name in names)


#: By marker. `pyproject.toml` registers the markers, and `.ci/run` installs the packages.
PARTS = {
    "rabbitmq": Part("RabbitMQ", "rabbitmq-server", _needs_programs("rabbitmq-server", "erl")),
    "pgbouncer": Part("PgBouncer", "pgbouncer", _needs_programs("pgbouncer")),
    "prometheus": Part("Prometheus", "prometheus", _needs_programs("prometheus", "promtool")),
    "system_postgres": Part("a second PostgreSQL version", "postgresql", _has_system_postgres),
    "plpgsql_check": Part(
        "plpgsql_check", f"postgresql postgresql-{_postgres_version()}-plpgsql-check", _has_plpgsql_check
    ),
}


def missing_parts() -> dict[str, Part]:
    """The parts whose packages are not installed here, by marker."""
    return {marker: part for marker, part in PARTS.items() if not part.is_installed()}


class SystemPackages:
    """The plugin of one run."""

    def __init__(self) -> None:
        self.missing = missing_parts()

    def pytest_configure(self) -> None:
        """Refuse a run that must be whole and cannot be."""
        if self.missing and os.environ.get("BOOKING_REQUIRE_ALL") == "1":
            lines = [f"  {part.subject}: {part.command}" for part in self.missing.values()]
            raise pytest.UsageError(
                "\n".join(["BOOKING_REQUIRE_ALL=1, and these are not installed:", *lines])
            )

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Mark a test that uses the fixture named like a part, and skip what cannot run here."""
        for marker in PARTS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(marker)
        reasons = [part.reason for marker, part in self.missing.items() if item.get_closest_marker(marker)]
        if reasons:
            item.add_marker(pytest.mark.skip(reason="; ".join(reasons)))

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Print what did not run, as the last lines of the run."""
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:  # a process of pytest-xdist; the first process reports for all
            return
        reasons = [str(one.longrepr[2]) for one in terminal.stats.get("skipped", []) if one.longrepr]
        for part in self.missing.values():
            count = sum(part.reason in reason for reason in reasons)
            tests = "1 test that needs" if count == 1 else f"{count} tests that need"
            if count:
                terminal.write_line(f"not run: {tests} {part.subject}; {part.command}")
