"""A variable that looks like a setting and is none: misspelt it is refused, otherwise a start warns of it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from booking_tasks.ops.check import findings
from booking_tasks.ops.cli import cli
from booking_tasks.ops.service_processes import ServiceProcesses

NEWER = "BOOKING_SETTING_OF_A_NEWER_RELEASE"


def test_check_warns_of_an_unknown_name_and_breaks_at_a_misspelt_one(
    own_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NEWER, "1")
    [warned] = [one for one in findings() if NEWER in one.seen]
    assert (warned.check, warned.state) == ("settings", "warning")

    with monkeypatch.context() as patch:
        patch.setenv("BOOKING_SMPT_HOST", "mail")
        ran = CliRunner().invoke(cli, ["check", "--json"])
    assert ran.exit_code == 1
    [broken] = json.loads(ran.stdout)
    assert broken["seen"] == "BOOKING_SMPT_HOST: is no setting; did you mean BOOKING_SMTP_HOST?"


@pytest.mark.stack
@pytest.mark.timeout(240)
@pytest.mark.parametrize("command", ["worker", "beat"])
def test_a_process_that_starts_warns_of_an_unknown_name(stack: ServiceProcesses, command: str) -> None:
    stack.environment[NEWER] = "1"
    process = stack.worker("one", concurrency=1) if command == "worker" else stack.beat("one")
    stack.wait_ready()
    lines = [line for line in process.log.read_text().splitlines() if "settings.unknown" in line]
    assert [json.loads(line)["names"] for line in lines] == [[NEWER]]
