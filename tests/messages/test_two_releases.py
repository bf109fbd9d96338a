"""A worker of an earlier release beside a worker and a beat of this one, on the same queues."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from booking_tasks.client import BookingClient, NoAnswerError, NotSentError
from booking_tasks.contracts import Outcome, SubmitRequest
from booking_tasks.kit.database import transaction
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcess, ServiceProcesses
from tests import builders
from tests.conftest import valkey_url
from tests.messages.conftest import QUEUES, started
from tests.messages.raw import PREFIX, element, submit
from tests.messages.running_worker import RunningWorker

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]
_AT_ONCE = 12


class Both:
    """The two releases, and callers who do not know which of them takes their message."""

    def __init__(self, running_worker: RunningWorker, earlier: ServiceProcess, service_type: UUID) -> None:
        self.running_worker, self.earlier, self.service_type = running_worker, earlier, service_type
        self.sent: set[str] = set()

    def command(self) -> dict[str, Any]:
        """A request like every other, but for its ids."""
        made = submit() | {"service_type_id": str(self.service_type)}
        self.sent.add(made["request_id"])
        return made

    def insist(self) -> Outcome:
        """Send one until it is answered, as every caller should, however often it is parked."""
        message = SubmitRequest.model_validate(self.command())
        client, answers = BookingClient(self.running_worker.url), list[Outcome]()

        def is_answered() -> bool:
            with suppress(NoAnswerError, NotSentError):
                answers.append(client.send(message, wait=True).outcome(timeout=2))
            return answers != []

        wait_until(is_answered, f"an answer to {message.message_id}", 60)
        client.close()
        return answers[0]

    def tell(self) -> None:
        """Push one whose answer nobody waits for."""
        self.running_worker.push(
            "booking", element(PREFIX + "submit_request", [[], {"request": self.command()}, {}])
        )

    def parked_by_the_earlier(self, task: str) -> bool:
        """Whether it has met a message of this task."""
        log = self.earlier.log.read_text()
        return any("message.parked" in line and task in line for line in log.splitlines())

    def arrived(self) -> set[str]:
        """Ids of the requests that are in the tables."""
        return {str(row["id"]) for row in self.running_worker.rows("SELECT id FROM consultation_requests")}


@pytest.fixture
def both(own_database: str, valkey: str, tmp_path: Path) -> Iterator[Both]:
    broker = valkey_url(valkey, 7)  # not one of `post`, whose workers may still run
    with Redis.from_url(broker) as connection:
        connection.flushdb()
    with transaction() as db:
        service_type = builders.service_type(db).id
    environment = {"DATABASE_URL": own_database, "REDIS_URL": broker}
    stack = ServiceProcesses(tmp_path, environment | {"BOOKING_SWEEP_INTERVAL": "1s"})
    earlier = ServiceProcess(
        "earlier",
        tmp_path,
        ["worker", "-Q", QUEUES, "-P", "solo", "-n", "earlier@%h"],
        environment,
        (sys.executable, "-m", "celery", "-A", "tests.messages.earlier_release"),
    )
    with ExitStack() as ending:
        ending.callback(earlier.stop)
        ending.callback(stack.stop)
        worker = stack.worker("current")
        running_worker = RunningWorker(broker, own_database, worker, 2)
        ending.callback(running_worker.close)
        for process in (earlier, worker):
            started(process)
        stack.beat()
        yield Both(running_worker, earlier, service_type)


def test_every_message_is_run_whichever_release_takes_it(both: Both) -> None:
    for _ in range(_AT_ONCE):
        both.tell()
    assert both.insist().result == "done"

    def one_more_was_parked() -> bool:
        both.tell()
        return both.parked_by_the_earlier("submit_request")

    wait_until(one_more_was_parked, "a request at the earlier release", 60)
    wait_until(lambda: both.parked_by_the_earlier("refresh_calendars"), "a sweep it does not know", 60)
    assert both.insist().result == "done"

    wait_until(lambda: both.arrived() == both.sent, "every request in the tables", 60)
    both.running_worker.wait_for_empty_queues()
    wait_until(lambda: not _parked_commands(both.running_worker), "nothing parked", 60)
    assert both.running_worker.dead_letters() == []
    answers = both.running_worker.rows("SELECT state, outcome->>'result' AS result FROM inbox")
    assert {(row["state"], row["result"]) for row in answers} == {("done", "done")}
    assert len(answers) == len(both.sent)
    assert both.earlier.running
    assert both.running_worker.worker_runs()


def _parked_commands(running_worker: RunningWorker) -> list[dict[str, Any]]:
    """Sweeps are parked again as long as the earlier release takes some."""
    return [one for one in running_worker.parked() if one["task"] == PREFIX + "submit_request"]
