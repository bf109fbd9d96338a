"""The primary dies while bookings run and its synchronous standby takes over: nothing accepted is lost."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import event, func, select
from sqlalchemy.exc import DBAPIError

import booking_tasks.assignment.tasks  # noqa: F401 - registers the use case
from booking_tasks.contracts import SubmitRequest
from booking_tasks.inbox.receiver import receive
from booking_tasks.kit import database
from booking_tasks.kit.database import transaction
from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.kit.settings import settings
from booking_tasks.models import ScheduledSession
from booking_tasks.ops.servers import wait_until
from tests.conftest import valkey_url
from tests.faults.fault_injector import send
from tests.faults.invariants import examined
from tests.faults.replication import ReplicatedPostgres, replicated_postgres
from tests.faults.running_service import PATIENT, Nuisance, RunningService

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

#: Every commit waits for the standby, so on a slow machine the usual ticks would expire before they are read.
_FEW_TICKS = {"BOOKING_SWEEP_INTERVAL": "2s", "BOOKING_WAKEUP_TTL": "60s"}
#: How long a test waits for something that must come, in seconds.
_LIMIT = 120
#: In this time after a failover work must go on, in seconds; on a quiet machine it takes a few.
_LONGEST_PAUSE = 30
#: On a fast machine the requests are answered before the primary has changed so often: then more are sent.
_MOST_ROUNDS = 6


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicatedPostgres]:
    with replicated_postgres(tmp_path_factory.mktemp("pair")) as pair:
        yield pair


@contextmanager
def opened(pair: ReplicatedPostgres, valkey: str) -> Iterator[RunningService]:
    """A service on a fresh database of the pair; no worker runs yet."""
    broker = valkey_url(valkey, 6)
    with Redis.from_url(broker) as redis:
        redis.flushdb()
    forget_engine()
    try:
        with RunningService(pair.fresh(), broker, **PATIENT | _FEW_TICKS).open(4, 20) as service:
            yield service
    finally:
        forget_engine()


def forget_engine() -> None:
    """Make this process read its settings again and connect anew."""
    settings.cache_clear()
    database.engine.cache_clear()


@pytest.fixture
def service(pair: ReplicatedPostgres, valkey: str) -> Iterator[RunningService]:
    with opened(pair, valkey) as service:
        yield service


@dataclass
class Failovers:
    """Fails over again and again, each time after a COMMIT whose reply is lost, and makes a new standby."""

    service: RunningService
    pair: ReplicatedPostgres
    seconds: list[float] = field(default_factory=list)

    def strike(self) -> None:
        """Fail over once; measures how long no request is answered."""
        lost = self.pair.cuts
        self.pair.cut_when(lambda: self.pair.cuts == lost)
        wait_until(lambda: self.pair.cuts > lost, "a COMMIT whose reply is lost", _LIMIT)
        began = time.monotonic()
        self.pair.fail_over()
        answered = len(self.service.book.answers)
        wait_until(lambda: len(self.service.book.answers) > answered, "an answer afterwards", _LIMIT)
        self.seconds.append(time.monotonic() - began)
        self.pair.follow()


def run_through(service: RunningService, pair: ReplicatedPostgres, requests: int, times: int) -> list[float]:
    """Send requests, again and again, until the primary has changed so often.

    Returns how long nobody was answered each time.
    """
    failovers = Failovers(service, pair)
    is_time = service.every(requests // (times + 1))
    service.start()
    with Nuisance(failovers.strike, lambda: 0.05, lambda: len(failovers.seconds) < times and is_time()):
        messages = service.requests(requests * _MOST_ROUNDS, random.Random(times))
        sent = 0
        while sent < len(messages) and len(failovers.seconds) < times:
            service.call(messages[sent : sent + requests], seconds=1500)
            sent += requests
    service.calm()
    ledger = examined(service)
    assert ledger.wrong == ()
    assert (ledger.accepted, ledger.terminal, ledger.dead) == (sent, sent, 0)
    assert len(failovers.seconds) == times
    assert max(failovers.seconds) <= _LONGEST_PAUSE
    return failovers.seconds


def test_nothing_accepted_is_lost_when_the_standby_takes_over(
    service: RunningService, pair: ReplicatedPostgres, record_property: Callable[[str, object], None]
) -> None:
    seconds = run_through(service, pair, requests=24, times=1)
    record_property("seconds until the next answer", seconds)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_twenty_changes_of_the_primary_lose_and_double_nothing(
    service: RunningService, pair: ReplicatedPostgres, record_property: Callable[[str, object], None]
) -> None:
    seconds = run_through(service, pair, requests=105, times=20)
    record_property("seconds until the next answer", sorted(round(one, 2) for one in seconds))


@contextmanager
def at_the_commit_of_the_booking(pair: ReplicatedPostgres, act: Callable[[], bool]) -> Iterator[None]:
    """Call `act` at the first COMMIT after a session was booked in this process; True loses its reply."""
    booked = threading.Event()

    def notice(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "book_or_hold" in statement:
            booked.set()

    def act_once() -> bool:
        if not booked.is_set():
            return False
        booked.clear()
        return act()

    engine = database.engine()
    event.listen(engine, "before_cursor_execute", notice)
    pair.cut_when(act_once)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", notice)
        pair.cut_when(lambda: False)


def sessions_of(request: SubmitRequest) -> int:
    """How many sessions a request has."""
    with transaction() as db:
        of_it = select(func.count()).where(ScheduledSession.consultation_request_id == request.request_id)
        return db.execute(of_it).scalar_one()


def try_until_answered(request: SubmitRequest) -> dict[str, Any]:
    """Send the same message again, as a caller does, until it is answered."""
    end, pause = time.monotonic() + _LIMIT, threading.Event()
    while True:
        try:
            return receive(request)
        except (DBAPIError, BookingTasksError):  # away, or the lost attempt still counts as running
            if time.monotonic() > end:
                raise
        pause.wait(0.2)


def test_a_booking_whose_commit_lost_its_reply_is_found_by_its_id_on_the_new_primary(
    service: RunningService, pair: ReplicatedPostgres
) -> None:
    [request] = service.requests(1, random.Random(3))
    with at_the_commit_of_the_booking(pair, lambda: True), pytest.raises(DBAPIError):
        receive(request)
    pair.fail_over()

    answer = try_until_answered(request)
    pair.follow()
    assert (answer["result"], answer["status"]) == ("done", "scheduled")
    assert sessions_of(request) == 1


def test_a_booking_that_the_standby_does_not_have_is_not_answered(
    service: RunningService, pair: ReplicatedPostgres
) -> None:
    """What only the primary has is visible there once the connection is ended; no answer may confirm it."""
    [request] = service.requests(1, random.Random(4))
    answers: list[dict[str, Any]] = []
    sender, is_frozen = pair.sender(), threading.Event()

    def freeze() -> bool:
        send([sender], signal.SIGSTOP)  # from here on, the standby gets nothing
        is_frozen.set()
        return False

    def booking_waits() -> bool:
        """Whether it is the booking that waits: every commit before it waited for a moment too."""
        return is_frozen.is_set() and pair.waiting_commits() == 1

    try:
        first = threading.Thread(target=_receive_into, args=(request, answers))
        with at_the_commit_of_the_booking(pair, freeze):
            first.start()
            wait_until(booking_waits, "a commit that waits for the standby", _LIMIT)
        pair.end_waiting_commits()
        first.join(_LIMIT)
        assert pair.count("scheduled_sessions", request.request_id) == 1  # on the primary alone

        again = threading.Thread(target=_receive_into, args=(request, answers))
        again.start()
        wait_until(lambda: pair.waiting_commits() == 1, "a repeat that waits for the standby", _LIMIT)
        assert answers == []
        pair.crash_primary()
        again.join(_LIMIT)
    finally:
        send([sender], signal.SIGCONT)
    assert answers == []
    pair.take_over()
    assert pair.count("scheduled_sessions", request.request_id) == 0  # it was never accepted

    assert try_until_answered(request)["status"] == "scheduled"
    pair.follow()
    assert sessions_of(request) == 1


def _receive_into(request: SubmitRequest, answers: list[dict[str, Any]]) -> None:
    try:
        answers.append(receive(request))
    except (DBAPIError, BookingTasksError):
        return
