"""The process that dies: forks a child for every run and says how it ended.

Orders come as lines of JSON on standard input, answers leave the same way. The parent opens no
connection, so that nothing is inherited but code; a child is what a freshly started worker is.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import ssl
import sys
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

import psycopg
from kombu import pools
from psycopg.rows import DictRow, dict_row
from sqlalchemy import Engine, event

from booking_tasks.celery import TASK_MODULES, app, schedule_module
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.logs import configure_logging
from booking_tasks.kit.settings import settings
from tests.calendars.servers import CERTIFICATE
from tests.crashpoints.people import fixed_id
from tests.crashpoints.points import Points
from tests.crashpoints.scenarios import SCENARIOS
from tests.invariants import SWEEP_FOR, TIME_PASSES, still_open

SWEEPS: tuple[str, ...] = tuple(schedule_module().SWEEPS)
_DAILY = ("extend_availability", "reconcile_meetings", "purge")
_WAITING = b"SELECT 1 AS one FROM consultation_requests WHERE status = 'pending_assignment' LIMIT 1"
_QUESTIONS = """
    SELECT e.id, d.email FROM events e JOIN directory_users d ON d.user_id = e.consultant_user_id
     WHERE e.consultation_request_id = %s AND e.type = 'request.confirmation_requested' ORDER BY e.position"""
_ROUNDS = 50


class Child:
    """The world around the tasks. Its own look at the rows runs outside the points."""

    def __init__(self, order: dict[str, Any], points: Points, *, repeating: bool) -> None:
        self.repeating = repeating
        self._calendar: str = order["calendar"]
        self._points = points
        self._rows: psycopg.Connection[DictRow] = psycopg.connect(
            order["database"], autocommit=True, row_factory=dict_row
        )
        self._woken: set[str] = set()
        self._platform = settings().meeting_url

    def add_wakeup(self, task: str) -> None:
        """Note a wake-up for this task."""
        self._woken.add(task)

    def say(self, task: str, body: dict[str, Any]) -> None:
        """A caller's message: its answer, then whatever follows from it."""
        answer = app.tasks[TASK_PREFIX + task](request=body)
        if answer["code"] in {"invalid", "conflict", "dead"}:
            raise AssertionError(f"{task} {body} was answered {answer}")
        self.run_woken()
        self.settle()

    def at(self, instant: datetime) -> None:
        """The clock moves; what waits is looked at again, then everything due is done."""
        self._set_clock(instant)
        self._sweep(_DAILY)
        self.settle()
        if self._rows.execute(_WAITING).fetchone():
            self._sweep(["assign_waiting"])
            self.settle()

    def soon(self, instant: datetime) -> None:
        """The same without the runs of the day and another look at what waits."""
        self._set_clock(instant)
        self.settle()

    def _set_clock(self, instant: datetime) -> None:
        self._rows.execute("UPDATE stepped_clock SET instant = greatest(instant, %s)", [instant])

    def tick(self) -> None:
        """One tick of every sweep, needed or not."""
        self._sweep(SWEEPS)

    def settle(self) -> None:
        """What beats and workers do until nothing is left at this instant, while minutes go by.

        Only sweeps that find something are run: the points of those that do not are in `tick`.
        """
        for _ in range(_ROUNDS):
            left = {one.partition(":")[0] for one in self.left()}
            if not left:
                return
            self.let_time_pass()
            sweeps = {SWEEP_FOR[one] for one in left if one in SWEEP_FOR}
            self._sweep([one for one in SWEEPS if one in sweeps])
        raise AssertionError(f"never calm: {self.left()}")

    def _sweep(self, names: Iterable[str]) -> None:
        for name in names:
            app.tasks[TASK_PREFIX + name]()
            self.run_woken()

    def run_woken(self) -> None:
        """Run the tasks of the wake-ups, as workers do, until none is left."""
        while self._woken:
            name = min(self._woken)
            self._woken.discard(name)
            app.tasks[name]()

    def leave(self) -> None:
        """Close the world's own connection."""
        self._rows.close()

    def let_time_pass(self) -> None:
        """Real time, not the stepped clock's."""
        for statement in TIME_PASSES:
            self._rows.execute(statement.encode())

    def left(self) -> list[str]:
        """What is still to be done."""
        now = self._one("SELECT instant FROM stepped_clock")["instant"]
        with self._points.not_counted(), transaction() as db:
            return still_open(db, now, settings().verdict_delay.total_seconds())

    def offered(self, request: str) -> UUID:
        """The token of the latest offer to a request."""
        query = (
            "SELECT hold_token FROM time_offers WHERE consultation_request_id = %s ORDER BY id DESC LIMIT 1"
        )
        found: UUID = self._one(query, request)["hold_token"]
        return found

    def held(self, request: str) -> UUID:
        """The token of what is held for a request."""
        row = self._one("SELECT hold_token FROM consultation_requests WHERE id = %s", request)
        found: UUID = row["hold_token"]
        return found

    def confirmation_request(self, request: str, number: int) -> tuple[UUID, str]:
        """The question of this number (from 1) about a request, and the address of whoever was asked."""
        found = self._one(f"{_QUESTIONS} OFFSET {number - 1}", request)
        return found["id"], found["email"]

    def proposed(self, request: str) -> UUID:
        """The other time that was proposed for a request's session last."""
        query = (
            "SELECT id FROM absence_plan_steps WHERE action = 'propose' AND scheduled_session_id ="
            " (SELECT scheduled_session_id FROM consultation_requests WHERE id = %s) ORDER BY id DESC LIMIT 1"
        )
        found: UUID = self._one(query, request)["id"]
        return found

    def session(self, request: str) -> UUID:
        """The session of a request."""
        found: UUID = self._session(request)["id"]
        return found

    def session_start(self, request: str) -> datetime:
        """When it is to begin."""
        start: datetime = self._session(request)["scheduled_start_time"]
        return start

    def control(self, **changes: Any) -> None:
        """Let the platform misbehave; it was told already when the step is repeated."""
        if not self.repeating:
            self._tell("POST", "/_control", changes)

    def seen(self, request: str, *observations: dict[str, Any], complete: bool) -> None:
        """Let the platform see something in a session's room."""
        session = self._session(request)
        payload = [_observation(one, session["scheduled_start_time"]) for one in observations]
        body = {"session_id": str(session["id"]), "observations": payload, "complete": complete}
        self._tell("POST", "/_control/presence", body)

    def lose_room(self, request: str) -> None:
        """Let the platform lose a session's room; it did so already when the step is repeated."""
        if not self.repeating:
            self._tell("DELETE", f"/rooms/{self.session(request)}", {})

    def calendar_url(self) -> str:
        """Where the outside calendar is."""
        return self._calendar

    def write_calendar(self, content: bytes) -> None:
        """Let the outside calendar's owner change it."""
        trusted = ssl.create_default_context(cafile=CERTIFICATE)
        urlopen(Request(self._calendar, content, method="PUT"), timeout=10, context=trusted).close()

    def wait_for_calendar(self) -> None:
        """Real time goes by until the calendar is due; it was due already when the step is repeated."""
        if not self.repeating:
            self._rows.execute("UPDATE calendar_feeds SET due_at = clock_timestamp()")

    def _tell(self, method: str, path: str, body: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "lost"}
        order = Request(self._platform + path, json.dumps(body).encode(), headers, method=method)
        urlopen(order, timeout=10).close()

    def _session(self, request: str) -> dict[str, Any]:
        return self._one("SELECT * FROM scheduled_sessions WHERE consultation_request_id = %s", request)

    def _one(self, query: str, label: str | None = None) -> dict[str, Any]:
        found = self._rows.execute(query.encode(), [] if label is None else [fixed_id(label)]).fetchone()
        if found is None:
            raise AssertionError(f"nothing found for {label}")
        return found


def _observation(observation: dict[str, Any], start: datetime) -> dict[str, Any]:
    at: timedelta = observation["observed_at"]
    who = observation["user_id"]
    return observation | {
        "observed_at": (start + at).isoformat(),
        "user_id": None if who is None else str(fixed_id(who)),
    }


def run_steps(order: dict[str, Any]) -> None:
    """Run steps of a scenario in this process, to its end or to the chosen point."""
    _open(order)
    points = Points(order["die_at"])
    world = Child(order, points, repeating=order["after"] is not None)
    points.install(world.add_wakeup)
    _steps(world, order)
    Path(order["points"]).write_text(json.dumps(points.names), encoding="utf-8")


def rehearse(order: dict[str, Any]) -> None:
    """Run in the parent, so that no child has to load, compile and look up everything again.

    All connections are closed afterwards: a child inherits what a long-running worker has in memory,
    and opens its own.
    """
    event.listen(Engine, "do_connect", _as_ordered)
    _open(order)
    points, send_task = Points(None), app.send_task
    world = Child(order, points, repeating=False)

    def send(name: str, *args: Any, **kwargs: Any) -> None:
        send_task(name, *args, **kwargs)
        world.add_wakeup(name)

    app.send_task = send
    _steps(world, order)
    app.send_task = send_task
    world.leave()
    database.engine().dispose()
    pools.reset()
    app._after_fork()


def _open(order: dict[str, Any]) -> None:
    os.environ["DATABASE_URL"] = order["database"]
    os.environ["BOOKING_MEETING_URL"] = order["platform"]
    settings.cache_clear()


def _as_ordered(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
    """One engine, with all it has compiled, for every run's own database."""
    parameters["dbname"] = settings().database_url.rpartition("/")[2]


def _steps(world: Child, order: dict[str, Any]) -> None:
    """Run the steps, after the recovery from a death in the first of them when the order has `after`.

    `sweeps`: beats and workers recover, then the caller sends its message again; `caller`: the other order.
    """
    if order["after"] == "sweeps":
        world.settle()
    for number in range(order["first"], order["last"] + 1):
        SCENARIOS[order["scenario"]][number](world)
        world.settle()
        world.repeating = False


def main() -> None:
    """Rehearse the first order; fork for every further one until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    configure_logging(logging.ERROR)
    for room in TASK_MODULES:
        importlib.import_module(room)
    rehearse(json.loads(sys.stdin.readline()))
    answers.write("0\n")
    answers.flush()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                run_steps(json.loads(line))
                code = 0
            except Exception:  # a fork must end here, whatever happened: its parent's stack is not its own
                logging.getLogger(__name__).exception("the run broke off")
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
