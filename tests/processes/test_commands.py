"""The command line as a supervisor uses it: output and exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from booking_tasks.ops.service_processes import ServiceProcess, ServiceProcesses
from tests.catalogues import catalogue_of, differences, fresh_database, run_script
from tests.conftest import database_url
from tests.processes.rows import PATIENCE, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

OURS = (sys.executable, "-m", "booking_tasks.ops")
CELERY = (str(Path(sys.executable).with_name("celery")), "-A", "booking_tasks")


def run(
    *command: str, folder: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command in a folder, with more environment."""
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize(
    ("command", "speaker"),
    [
        ((*OURS, "worker"), "booking-tasks"),
        ((*OURS, "beat"), "booking-tasks"),
        ((*OURS, "migrate"), "booking-tasks"),
        ((*CELERY, "worker"), "booking_tasks"),
        ((*CELERY, "beat"), "booking_tasks"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_that_names_the_variable(
    command: tuple[str, ...], speaker: str, tmp_path: Path
) -> None:
    done = run(*command, folder=tmp_path, environment={"BOOKING_SWEEP_INTERVAL": "soon"})

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{speaker}: BOOKING_SWEEP_INTERVAL: ")
    assert done.stdout == ""


def test_migrate_prints_sql_that_makes_the_same_database(
    postgres: str, template: str, tmp_path: Path
) -> None:
    done = run(*OURS, "migrate", "--sql", folder=tmp_path)

    assert done.returncode == 0
    assert "CREATE TABLE consultation_requests" in done.stdout
    with fresh_database(postgres) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            run_script(connection, done.stdout)
        assert differences(catalogue_of(url), catalogue_of(database_url(template))) == []


def health(process: ServiceProcess, folder: Path, *switches: str) -> subprocess.CompletedProcess[str]:
    """What a container's health check runs."""
    return run(
        *OURS,
        "health",
        *switches,
        folder=folder,
        environment={"BOOKING_HEARTBEAT_FILE": str(process.heartbeat)},
    )


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_health_tells_a_process_that_goes_on_from_one_that_does_not(
    stack: ServiceProcesses, command: str, tmp_path: Path
) -> None:
    process = stack.worker("one", concurrency=1) if command == "worker" else stack.beat("one")
    stack.wait_ready()
    well = health(process, tmp_path)
    assert (well.returncode, well.stderr) == (0, "")

    os.killpg(process.pid, signal.SIGSTOP)  # it is there, and does nothing
    try:
        long_ago = time.time() - 60
        os.utime(process.heartbeat, (long_ago, long_ago))
        ill = health(process, tmp_path)
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    assert ill.returncode == 1
    assert ill.stdout.startswith("last heartbeat 6")

    wait_for(lambda: process.heartbeat.stat().st_mtime > time.time() - 30, "another sign of life")
    assert health(process, tmp_path).returncode == 0


def test_a_beat_with_long_intervals_is_dead_after_three_of_them(
    stack: ServiceProcesses, tmp_path: Path
) -> None:
    stack.environment["BOOKING_SWEEP_INTERVAL"] = "60s"
    beat = stack.beat("one")
    stack.wait_ready()
    wait_for(lambda: beat.heartbeat.read_text() != "", "the text of the heartbeat")

    os.killpg(beat.pid, signal.SIGSTOP)  # it has more to send at its start
    codes = {}
    try:
        for age in (150, 190):
            then = time.time() - age
            os.utime(beat.heartbeat, (then, then))
            codes[age] = health(beat, tmp_path).returncode
        codes[30] = health(beat, tmp_path, "--seconds", "30").returncode
    finally:
        os.killpg(beat.pid, signal.SIGCONT)
    assert codes == {150: 0, 190: 1, 30: 1}


def test_health_without_any_process_says_what_is_missing(tmp_path: Path) -> None:
    missing = tmp_path / "heartbeat"

    done = run(*OURS, "health", folder=tmp_path, environment={"BOOKING_HEARTBEAT_FILE": str(missing)})

    assert done.returncode == 1
    assert done.stderr == f"no heartbeat: {missing} does not exist; is a worker or beat running here?\n"
