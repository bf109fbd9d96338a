"""Both wheels, built once, and an environment with the service alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.installed.environments import Environment

ROOT = Path(__file__).parent.parent.parent


def build(folder: Path, source: Path) -> Path:
    """Build the wheel of a project as pip would, by way of its source archive; the wheel."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        check=True,
        cwd=source,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def service_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("service-wheel"), ROOT)


@pytest.fixture(scope="session")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("client-wheel"), ROOT / "client")


@pytest.fixture(scope="session")
def bare(service_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with booking-tasks and what it asks for, without any extra."""
    made = Environment(tmp_path_factory.mktemp("bare") / "environment")
    made.add(service_wheel)
    return made
