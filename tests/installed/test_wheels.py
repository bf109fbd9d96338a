"""Two distributions of one package: the service, and the client alone from the same files."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import valkey_url
from tests.installed.client_distribution import client_files, run_tests_of_client
from tests.installed.environments import Environment, closure, link

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent.parent


def _project(path: Path) -> dict[str, str]:
    project: dict[str, str] = tomllib.loads(path.read_text())["project"]
    return project


def test_both_have_one_version_and_one_licence() -> None:
    service, client = (_project(ROOT / one) for one in ("pyproject.toml", "client/pyproject.toml"))

    assert service["version"] == client["version"]
    assert service["requires-python"] == client["requires-python"]
    assert (ROOT / "client" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_neither_depends_on_the_other() -> None:
    for one in ("pyproject.toml", "client/pyproject.toml"):
        dependencies = _project(ROOT / one)["dependencies"]
        assert not [name for name in dependencies if name.startswith("booking-tasks")]


def test_the_client_has_the_same_files_and_no_others(client_wheel: Path) -> None:
    with zipfile.ZipFile(client_wheel) as wheel:
        texts = {
            name: wheel.read(name)
            for name in wheel.namelist()
            if not name.startswith("booking_tasks_client-")
        }

    files = {file.as_posix() for file in client_files(ROOT)}
    assert texts.keys() == files | {"booking_tasks/py.typed"}
    assert {name: (ROOT / name).read_bytes() for name in texts} == texts
    contracts = {
        f"booking_tasks/contracts/{one.name}" for one in (ROOT / "booking_tasks/contracts").glob("*.py")
    }
    assert contracts | {"booking_tasks/client.py"} <= files
    packages = {name.split("/")[1] for name in files}
    assert packages == {"__init__.py", "client.py", "contracts", "enums.py", "kit"}


@pytest.mark.parametrize("chosen", ["client_wheel", "service_wheel"])
def test_the_client_works_where_neither_database_nor_calendar_is_installed(
    request: pytest.FixtureRequest, client_wheel: Path, chosen: str, valkey: str, tmp_path: Path
) -> None:
    made = Environment(tmp_path / "environment")
    if chosen == "client_wheel":
        made.add(client_wheel)
    else:
        made.install("--no-deps", "--no-index", request.getfixturevalue(chosen))
        client = _project(ROOT / "client/pyproject.toml")
        link(closure(client["dependencies"]).values(), made.packages)

    run_tests_of_client(made, tmp_path / "tests", valkey_url(valkey, 12))
