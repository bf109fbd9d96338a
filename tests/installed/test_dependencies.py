"""Whatever a distribution imports is among its dependencies, and not left to what others happen to bring."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.installed.client_distribution import client_files

ROOT = Path(__file__).parent.parent.parent
SERVICE = [
    *sorted((ROOT / "booking_tasks").rglob("*.py")),
    *sorted((ROOT / "migrations").rglob("*.py")),
    ROOT / "beat_schedule.py",
]


def _names(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(one).name) for one in requirements}


def _imported(files: Iterable[Path]) -> set[str]:
    """The top-level names that these files import, but for their own package and the standard library."""
    found = set()
    for node in (one for file in files for one in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"booking_tasks"}


def _undeclared(files: Iterable[Path], declared: set[str]) -> set[str]:
    owners = packages_distributions()
    return {
        name
        for name in _imported(files)
        if not {canonicalize_name(owner) for owner in owners.get(name, [name])} & declared
    }


def test_the_service_names_whatever_it_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for name, more in project["optional-dependencies"].items() if name != "dev" for one in more]

    assert _undeclared(SERVICE, _names([*project["dependencies"], *extras])) == set()


def test_the_client_names_whatever_it_imports() -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())["project"]
    files = [ROOT / file for file in client_files(ROOT)]

    assert _undeclared(files, _names(project["dependencies"])) == set()
    brokers = {"amqp", "celery", "kombu"}
    others = {"pydantic", "pydantic-core", "typing-extensions", "tzdata"}
    assert _names(project["dependencies"]) <= brokers | others


@pytest.mark.parametrize("pyproject", ["pyproject.toml", "client/pyproject.toml"])
def test_celery_comes_with_what_it_needs_for_redis(pyproject: str) -> None:
    project = tomllib.loads((ROOT / pyproject).read_text())["project"]
    (celery,) = [one for one in map(Requirement, project["dependencies"]) if one.name == "celery"]

    assert celery.extras == {"redis"}
