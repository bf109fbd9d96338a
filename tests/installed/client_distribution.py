"""The second distribution: its files, as its build hook lists them, and its tests where it is installed."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

from redis import Redis

from tests.installed.environments import Environment, closure, link

ROOT = Path(__file__).parent.parent.parent
_CONFTEST = """
import os, pytest

@pytest.fixture
def broker():
    return os.environ["BROKER"]
"""
_ABSENT = """
from importlib.util import find_spec
absent = ("sqlalchemy", "psycopg", "icalendar", "alembic", "hypothesis")
assert [name for name in absent if find_spec(name)] == []
"""


def client_files(source: Path) -> list[Path]:
    """The files of booking-tasks-client below a folder that contains the package."""
    hook = runpy.run_path(str(ROOT / "client" / "hatch_build.py"))
    found: list[Path] = hook["client_files"](source)
    return found


def run_tests_of_client(made: Environment, tests: Path, broker: str) -> None:
    """Run tests/client in an environment that must contain nothing of the service."""
    link(closure(["pytest"]).values(), made.packages)
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "client" / "test_client.py", tests)
    (tests / "conftest.py").write_text(_CONFTEST)
    (tests / "pytest.ini").write_text("[pytest]\n")

    absent = made.run("python", "-c", _ABSENT, folder=tests)
    with Redis.from_url(broker) as redis:
        redis.flushdb()
        ran = made.run("python", "-m", "pytest", "-q", folder=tests, BROKER=broker)
        redis.flushdb()

    assert absent.returncode == 0, absent.stderr
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
