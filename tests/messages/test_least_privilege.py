"""The whole service with only the rights of booking_app and of the broker's user `worker`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis

from beat_schedule import SWEEPS
from booking_tasks.client import BookingClient
from booking_tasks.contracts import (
    Observation,
    Outcome,
    Query,
    RecordAttendance,
    SetAvailability,
    SubmitRequest,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
    WeeklyHours,
)
from booking_tasks.enums import EvidenceType
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcesses
from tests.accounts import as_role, migrate_as_deployed
from tests.catalogues import fresh_database
from tests.messages.access import GuardedValkey
from tests.messages.conftest import started

pytestmark = pytest.mark.stack


class Service:
    """A running service, and those who send to it, each under its own account."""

    def __init__(self, broker: GuardedValkey, database: str, stack: ServiceProcesses, mail: MailSink) -> None:
        self.broker, self.database, self.stack, self.mail = broker, database, stack, mail

    def ask(self, user: str, message: Query[Any]) -> Outcome:
        client = BookingClient(self.broker.url_of(user))
        try:
            outcome: Outcome = client.send(message, wait=True).outcome(timeout=30)
            return outcome
        finally:
            client.close()

    def one(self, query: str) -> Any:
        with psycopg.connect(as_role(self.database, "booking_reader")) as reader:
            row = reader.execute(query.encode()).fetchone()
        return None if row is None else row[0]

    def logs(self) -> str:
        return "".join(process.log.read_text() for process in self.stack.processes)


@pytest.fixture(scope="module")
def service(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with (
        GuardedValkey(folder / "valkey", durable=False) as broker,
        MailSink(folder / "mail") as mail,
        FakeMeetingPlatform() as platform,
        fresh_database(postgres) as database,
    ):
        migrate_as_deployed(database)
        environment = {
            "DATABASE_URL": as_role(database, "booking_app"),
            "REDIS_URL": broker.url_of("worker"),
            "BOOKING_MEETING_URL": platform.url,
            "BOOKING_SMTP_PORT": str(mail.port),
            "BOOKING_SWEEP_INTERVAL": "0.3s",
        }
        stack = ServiceProcesses(folder / "processes", environment)
        stack.worker("worker")
        stack.beat()
        try:
            for process in stack.processes:
                started(process)
            yield Service(broker, database, stack, mail)
        finally:
            stack.stop()


def test_a_booking_goes_all_the_way_and_every_sweep_runs(service: Service) -> None:
    service_type, consultant, requester, request = uuid4(), uuid4(), uuid4(), uuid4()

    def signed(**fields: Any) -> dict[str, Any]:
        return {"message_id": uuid4(), "actor": "test", **fields}

    admin: list[Query[Any]] = [
        UpsertServiceType(
            **signed(service_type_id=service_type, name="Algebra", default_duration_minutes=60)
        ),
        UpsertConsultant(**signed(consultant_user_id=consultant, time_zone="UTC")),
        UpsertUser(**signed(user_id=consultant, name="Dr Weber", email="w@example.org", time_zone="UTC")),
        UpsertUser(**signed(user_id=requester, name="Mira Lang", email="m@example.org", time_zone="UTC")),
        SetAvailability(
            **signed(
                consultant_user_id=consultant,
                weekly=tuple(WeeklyHours(weekday=day, start=time(), end=time()) for day in range(1, 8)),
            )
        ),
    ]
    assert [service.ask("producer-admin", one).result for one in admin] == ["done"] * len(admin)

    command = SubmitRequest(
        **signed(request_id=request, requester_user_id=requester, service_type_id=service_type)
    )
    assert service.ask("producer-booking", command).result == "done"

    session = "SELECT scheduled_session_id FROM consultation_requests"
    wait_until(lambda: service.one(session) is not None, "a session", 60)
    wait_until(lambda: len(service.mail.mails()) == 2, "two invitations", 60)
    seen = Observation(
        evidence_type=EvidenceType.ROOM_OPENED,
        observed_at=datetime(2026, 11, 21, tzinfo=UTC),
        external_id="1",
    )
    evidence = RecordAttendance(
        **signed(session_id=service.one(session), source="test", observations=(seen,))
    )
    assert service.ask("producer-evidence", evidence).result == "done"

    due = "SELECT count(*) FROM jobs WHERE due_at <= now() AND state NOT IN ('done', 'skipped')"
    wait_until(lambda: service.one(due) == 0, "every job done", 60)
    with redis.Redis.from_url(service.broker.url_of("events")) as listener:
        assert listener.xlen("booking:events") >= 3


def test_each_sweep_may_do_what_it_does(service: Service) -> None:
    # Each of them once more where midnight passes meanwhile.
    daily = "SELECT count(DISTINCT schedule) FROM schedule_runs"
    wait_until(lambda: service.one(daily) == 3, "the three daily runs", 60)

    assert len(SWEEPS) > 10
    logs = service.logs()
    for refusal in ("InsufficientPrivilege", "permission", "NoPermission", "Traceback"):
        assert refusal not in logs
