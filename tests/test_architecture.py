"""The rules of the architecture: who imports what, which tasks exist, and which documents are indexed."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from booking_tasks.celery import TASK_MODULES, app
from booking_tasks.contracts import PUBLIC, TASK_PREFIX
from booking_tasks.guard.rules import DEAD_LETTER, PARK
from booking_tasks.kit.queues import QUEUES
from booking_tasks.outbox.jobs import JOB_TYPES
from tests.source_rules import imported_modules, transaction_calls

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "booking_tasks"
DECISIONS = ROOT / "docs" / "decisions"


# -- layers --------------------------------------------------------------------------------------------


def _modules_after(statement: str) -> set[str]:
    """The names that a fresh interpreter has imported for this statement."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(ran.stdout.split())


def test_importing_the_package_imports_nothing() -> None:
    assert _modules_after("import booking_tasks") == {"booking_tasks"}


def test_a_client_loads_neither_the_database_nor_the_calendar() -> None:
    loaded = _modules_after("import booking_tasks.client")

    assert {"celery", "pydantic", "booking_tasks.contracts"} <= loaded
    unwanted = {"sqlalchemy", "psycopg", "alembic", "icalendar", "jinja2", "httpx2", "structlog"}
    assert unwanted & {name.partition(".")[0] for name in loaded} == set()
    assert not {name for name in loaded if name.startswith("booking_tasks.models")}


#: Contract -> a file that no layer's name covers (where there is such a rule), and an import that breaks it.
BREACHES = {
    "No import runs back up between packages": (
        "outbox/event_types.py",
        "from booking_tasks.jobs import rules",
    ),
    "Rules are pure": ("jobs/rules.py", "import sqlalchemy"),
    "Inside a package imports go from tasks to service to store to rules": (
        "jobs/store.py",
        "from booking_tasks.jobs import service",
    ),
    "Only edges import Celery and the brokers": ("invites/notices.py", "import celery"),
    "Only effects import network libraries": ("absence/substitutes.py", "import smtplib"),
    "Only edges import settings, the clock, the engine and effects": (
        "assignment/evaluation.py",
        "from booking_tasks.kit import settings",
    ),
    "Only pages and the operator's tools import tasks": (
        "waiting/offering.py",
        "from booking_tasks.inbox import tasks",
    ),
    "A client imports contracts and Celery only": ("contracts/base.py", "import icalendar"),
    "Effects never touch the database": ("mail/transport.py", "from booking_tasks import models"),
    "The schedule and the migrations are found by their place, never imported": (
        "batch/reading.py",
        "import beat_schedule",
    ),
}


def _contracts(folder: Path) -> dict[str, str]:
    """Contract -> KEPT or BROKEN, for the package in this folder under the project's own rules."""
    linter = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [str(linter), "--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"COLUMNS": "200"},
    )
    return dict(re.findall(r"^(.+) (KEPT|BROKEN)\b", ran.stdout, flags=re.MULTILINE))


def test_every_import_contract_can_be_broken(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "booking_tasks", ignore=shutil.ignore_patterns("__pycache__"))
    assert _contracts(tmp_path) == dict.fromkeys(BREACHES, "KEPT")

    for file, line in BREACHES.values():
        path = tmp_path / "booking_tasks" / file
        path.write_text(f"{path.read_text()}\n{line}\n")

    assert _contracts(tmp_path) == dict.fromkeys(BREACHES, "BROKEN")


def test_contracts_import_enums_and_pure_types_and_nothing_else_of_the_package() -> None:
    allowed = {
        "enums",
        "kit.addresses",
        "kit.currencies",
        "kit.lines",
        "kit.time_zones",
        "kit.instants",
        "contracts",
    }
    found = {
        f"{path.name}: {name}"
        for path in sorted((PACKAGE / "contracts").glob("*.py"))
        for name in imported_modules(path.read_text())
        if name.startswith("booking_tasks.")
        and not any(f"{name}.".startswith(f"booking_tasks.{one}.") for one in allowed)
    }

    assert found == set()


#: The modules that open and end transactions; every other one is inside of a transaction.
EDGES = (
    *("*/tasks.py", "guard/*", "inbox/receiver.py", "jobs/runner.py", "kit/*", "ops/*", "web/*"),
    *("celery.py", "client.py", "unit_of_work.py", "wakeup.py"),
)


def _inside_of_transactions(package: Path) -> list[Path]:
    edges = {path for pattern in EDGES for path in package.glob(pattern)}
    return [path for path in sorted(package.rglob("*.py")) if edges.isdisjoint({path, *path.parents})]


def test_nothing_below_the_edges_opens_or_ends_a_transaction() -> None:
    inside = _inside_of_transactions(PACKAGE)

    assert len(inside) > 150
    assert [
        f"{path.relative_to(ROOT)}:{line} {call}"
        for path in inside
        for line, call in transaction_calls(path.read_text())
    ] == []


@pytest.mark.parametrize(
    "line", ["db.commit()", "db.rollback()", "savepoint = db.begin_nested()", "db.begin()"]
)
@pytest.mark.parametrize("file", ["assignment/evaluation.py", "outbox/workflow.py", "search/new_file.py"])
def test_a_transaction_that_ends_in_a_file_without_a_layer_is_found(
    tmp_path: Path, file: str, line: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(f"def change(db):\n    {line}\n")

    [found] = _inside_of_transactions(tmp_path)
    assert found == path
    assert [number for number, _ in transaction_calls(found.read_text())] == [2]


def test_time_is_read_in_one_place() -> None:
    reading = re.compile(r"datetime\.(utc)?now\(|date\.today\(|time\.time\(|func\.now\(|current_timestamp\(")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if "ops" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if reading.search(line)
    ]

    assert found == []


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    files = [ROOT / "beat_schedule.py"]
    for folder in ("booking_tasks", "migrations", "tests", "benchmarks"):
        files += sorted((ROOT / folder).rglob("*.py"))
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}

    assert len(lengths) > 40
    assert {path: length for path, length in lengths.items() if length > 400} == {}


# -- tasks -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tasks() -> set[str]:
    """The short names of all registered tasks, every room being loaded as a worker loads it."""
    for room in TASK_MODULES:
        importlib.import_module(room)
    return {name.removeprefix(TASK_PREFIX) for name in app.tasks if name.startswith(TASK_PREFIX)}


def test_every_public_contract_has_its_task(tasks: set[str]) -> None:
    assert sorted(PUBLIC.keys() - tasks) == []


def test_every_job_type_has_its_task(tasks: set[str]) -> None:
    assert sorted(JOB_TYPES.keys() - tasks) == []


def test_every_beat_entry_names_a_task_and_expires_though_not_by_a_wrong_clock(tasks: set[str]) -> None:
    for name, entry in app.conf.beat_schedule.items():
        assert entry["task"].removeprefix(TASK_PREFIX) in tasks, name
        assert entry["options"]["queue"] in QUEUES, name
        assert 3600 < entry["options"]["expires"] <= 24 * 3600, name


def test_every_task_has_a_caller(tasks: set[str]) -> None:
    scheduled = {entry["task"].removeprefix(TASK_PREFIX) for entry in app.conf.beat_schedule.values()}

    by_the_guard = {name.removeprefix(TASK_PREFIX) for name in (DEAD_LETTER, PARK)}

    assert sorted(tasks - PUBLIC.keys() - JOB_TYPES.keys() - scheduled - by_the_guard) == []


def test_every_task_is_routed_to_a_known_queue(tasks: set[str]) -> None:
    for name in sorted(tasks):
        queue = app.amqp.router.route({}, TASK_PREFIX + name)["queue"].name
        assert queue in QUEUES, name
        if name in PUBLIC:
            assert queue == PUBLIC[name].queue


# -- documents and locks ------------------------------------------------------------------------------------


def test_every_decision_stands_in_the_index_and_every_entry_exists() -> None:
    files = {path.name for path in DECISIONS.glob("*.md")} - {"README.md"}
    rows = re.findall(
        r"^\| (\d+) \| \[.+?\]\(([^)]+\.md)\)", (DECISIONS / "README.md").read_text(), flags=re.MULTILINE
    )

    assert len(rows) > 5
    assert [file for _, file in rows] == sorted(files)
    assert [number for number, file in rows if int(number) != int(file[:4])] == []


def _locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / name).read_text(), flags=re.MULTILINE))


def _required(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", one)[0].lower() for one in requirements}


def test_the_lock_holds_every_requirement_at_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]

    assert _required([*project["dependencies"], *extras]) - _locked("requirements.lock").keys() == set()
    runtime = _locked("requirements-runtime.lock")
    solver = project["optional-dependencies"]["solver"]  # in the image, as the batch is solved there
    assert _required([*project["dependencies"], *solver, "hatchling"]) - runtime.keys() == set()
    assert runtime.items() <= _locked("requirements.lock").items()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-runtime.lock"])
def test_a_lock_names_no_address_and_pins_by_hash(name: str) -> None:
    text = (ROOT / name).read_text()

    assert not re.search(r"://|^ *-[^-]|--(index|extra-index|find-links|trusted)|^/|@ ", text, re.MULTILINE)
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []
