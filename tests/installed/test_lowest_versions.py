"""The client works with the lowest version of everything that it asks for, on both brokers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from booking_tasks.ops.service_processes import ServiceProcess
from tests.conftest import valkey_url
from tests.installed.client_distribution import run_tests_of_client
from tests.installed.environments import Environment
from tests.messages.access import GuardedRabbitMQ

pytestmark = [pytest.mark.long, pytest.mark.stack, pytest.mark.timeout(900)]

PYPROJECT = Path(__file__).parent.parent.parent / "client" / "pyproject.toml"
_SEND = """
import os
from uuid import uuid4
from booking_tasks.client import BookingClient
from booking_tasks.contracts import UpsertUser
user = UpsertUser(message_id=uuid4(), actor="shop", user_id=uuid4(), name="Mira", email="mira@example.org",
                  time_zone="Europe/Vienna")
client = BookingClient(os.environ["BROKER"])
print(client.send(user, wait=True).outcome(timeout=120).result)
client.close()
"""


def _lowest() -> dict[str, str]:
    """The lowest version that each dependency of the client may have, by its name with extras."""
    found = {}
    for one in map(Requirement, tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]):
        bounds = [bound.version for bound in one.specifier if bound.operator == ">="]
        if bounds:  # pydantic names the version of its core
            found[f"{one.name}[{','.join(one.extras)}]" if one.extras else one.name] = bounds[0]
    return found


@pytest.fixture(scope="module")
def lowest(client_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("lowest") / "environment")
    made.install(client_wheel, *(f"{name}=={version}" for name, version in _lowest().items()))
    return made


def test_the_lowest_versions_can_be_installed_together(lowest: Environment) -> None:
    expected = _lowest()
    assert {"celery[redis]", "kombu", "pydantic"} <= expected.keys()

    for name, version in expected.items():
        [one] = lowest.installed(name.partition("[")[0])
        assert Version(one.version) == Version(version), name


def test_the_tests_of_the_client_pass_with_them(lowest: Environment, valkey: str, tmp_path: Path) -> None:
    run_tests_of_client(lowest, tmp_path / "tests", valkey_url(valkey, 12))


@pytest.mark.rabbitmq
def test_an_answer_over_rabbitmq_reaches_the_client_with_them(
    lowest: Environment, own_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL")
    with GuardedRabbitMQ(tmp_path / "broker") as broker:
        settings = {"DATABASE_URL": own_database, "CELERY_BROKER_URL": broker.url_of("worker")}
        worker = ServiceProcess("worker", tmp_path, ["worker", "-c", "1"], settings)
        try:
            worker.wait_ready()
            sent = lowest.run("python", "-c", _SEND, folder=tmp_path, BROKER=broker.url_of("producer-admin"))
        finally:
            worker.stop()

    assert (sent.stdout.strip(), sent.returncode) == ("done", 0), sent.stderr
