"""The demo as its reader runs it: from the command line, with its results and the README's example."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from icalendar import Calendar

from booking_tasks.contracts import CloudEvent
from booking_tasks.ops.demo import people
from booking_tasks.ops.demo.checks import CHECKS
from booking_tasks.ops.servers import wait_until
from tests.faults.fault_injector import children


@dataclass(frozen=True)
class DemoRun:
    """A demo that ended, with the folder it left."""

    exit_code: int
    output: str
    folder: Path
    example: str
    started: list[int]
    left: list[int]

    @property
    def outcome(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "outcome.json").read_text())
        return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """The demo, run once with --keep, in a directory of its own and with no server given.

    While it keeps running, the README's example is run with what it prints; then SIGTERM ends it.
    """
    folder = tmp_path_factory.mktemp("demo")
    inherited = ("DATABASE_URL", "REDIS_URL", "CELERY_", "BOOKING_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
    log = folder / "log.txt"
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "booking_tasks.ops", "demo", "--keep", "--out", str(folder / "out")],
            cwd=folder,
            env=environment | {"PYTHONUNBUFFERED": "1"},
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    example = ""
    try:
        wait_until(
            lambda: _LAST_LINE in log.read_text() or process.poll() is not None, "the end of the demo", 200
        )
        if process.poll() is None:
            printed = dict(re.findall(r"export (\w+)=(\S+)", log.read_text()))
            example = run_readme_example(environment | printed, folder)
        started = descendants(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    left = [one for one in started if Path(f"/proc/{one}").exists()]
    return DemoRun(code, log.read_text(), folder / "out", example, started, left)


_LAST_LINE = "Ctrl-C stops all of it."


def run_readme_example(environment: dict[str, str], folder: Path) -> str:
    """Run the Python example of the README as it is written; what it prints."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    example = readme.partition("## How another service sends a message")[2]
    code = example.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that these have."""
    own = children(pid)
    return own + [one for child in own for one in descendants(child)]


@pytest.mark.stack
@pytest.mark.timeout(240)
def test_the_demo_plays_to_its_end_with_every_check_true(demo: DemoRun) -> None:
    assert demo.exit_code == 0, demo.output
    checks = demo.outcome["checks"]
    assert [check for check in checks if not check["holds"]] == []
    assert (demo.outcome["passed"], demo.outcome["failed"]) == (len(CHECKS), 0)
    assert len({check["claim"] for check in checks}) == len(checks) >= 10
    assert 0 < demo.outcome["seconds"] < 120


@pytest.mark.stack
def test_the_example_of_the_readme_works_with_what_it_prints(demo: DemoRun) -> None:
    assert demo.example == "done scheduled 2027-03-04 13:00:00+00:00\n"


@pytest.mark.stack
def test_a_signal_ends_every_process_that_it_started(demo: DemoRun) -> None:
    assert len(demo.started) > 5
    assert demo.left == []
    assert "stopping" in demo.output


@pytest.mark.stack
def test_every_mail_and_invite_it_leaves_can_be_read(demo: DemoRun) -> None:
    mails = [
        email.message_from_bytes(path.read_bytes(), EmailMessage, policy=email.policy.default)
        for path in sorted((demo.folder / "mail").glob("*.eml"))
    ]
    assert len(mails) >= 20
    for mail in mails:
        assert [part.defects for part in mail.walk() if part.defects] == []
        assert mail["To"].addresses[0].domain == "example.org"
    invites = [Calendar.from_ical(path.read_bytes()) for path in (demo.folder / "invites").glob("*.ics")]
    assert {str(invite["METHOD"]) for invite in invites} == {"REQUEST", "CANCEL"}
    for invite in invites:
        assert invite.errors == []
        (event,) = invite.events
        assert event.errors == []
        assert event.DTSTART < event.DTEND


@pytest.mark.stack
def test_every_event_it_leaves_is_a_cloud_event(demo: DemoRun) -> None:
    lines = (demo.folder / "events.jsonl").read_text().splitlines()
    events = [CloudEvent.model_validate_json(line) for line in lines]
    assert len({event.id for event in events}) == len(events) >= 20
    assert all(set(json.loads(line)) == set(CloudEvent.model_fields) for line in lines)


@pytest.mark.stack
def test_the_picture_it_leaves_shows_every_consultant(demo: DemoRun) -> None:
    picture = ElementTree.parse(demo.folder / "day.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {person.name for person in people.CONSULTANTS} <= texts
