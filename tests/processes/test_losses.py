"""The broker is emptied or a worker is killed: the sweeps finish the work from the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from booking_tasks.client import BookingClient
from booking_tasks.contracts import SubmitRequest
from booking_tasks.kit.database import transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.models import ConsultationRequest
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.service_processes import EFFECTS, FRONT, ServiceProcesses
from tests import builders
from tests.processes.rows import PATIENCE, agreed_session, all_settled, jobs, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


def request_message() -> SubmitRequest:
    """A request that can be served tomorrow."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with transaction() as db:
        service_type, who = builders.service_type(db), builders.consultant(db)
        builders.user(db, user_id=who.consultant_user_id)
        builders.window(db, who.consultant_user_id, tomorrow)
        requester = builders.user(db)
        return SubmitRequest(
            message_id=uuid7(),
            actor="test",
            request_id=uuid7(),
            requester_user_id=requester.user_id,
            service_type_id=service_type.id,
        )


def status_of(request: SubmitRequest) -> str:
    with transaction() as db:
        found = select(ConsultationRequest.status).where(ConsultationRequest.id == request.request_id)
        return db.execute(found).scalar_one()


def test_emptying_the_broker_in_the_middle_of_a_booking_loses_nothing(
    stack: ServiceProcesses, client: BookingClient, redis: Any, mail: MailSink, platform: FakeMeetingPlatform
) -> None:
    command = request_message()
    stack.worker("front", FRONT, concurrency=1)
    stack.beat()
    stack.wait_ready()
    assert client.send(command, wait=True).outcome(PATIENCE).result == "done"
    wait_for(lambda: status_of(command) == "scheduled", "a consultant")
    wait_for(lambda: redis.llen("provision") > 0 and redis.llen("notify") > 0, "the wake-ups")

    redis.flushdb()  # all that the service has there: queues, bindings, unacknowledged messages, results

    stack.worker("effects", EFFECTS, concurrency=1)
    wait_for(lambda: all_settled("send_invite", 2), "both invites")
    assert client.send(command, wait=True).outcome(PATIENCE).result == "done"
    assert len(mail.mails()) == 2
    assert len(puts(platform)) == len(platform.rooms()) == 1


def test_an_effect_whose_worker_was_killed_is_finished_by_another_under_its_key(
    stack: ServiceProcesses, platform: FakeMeetingPlatform, mail: MailSink
) -> None:
    stack.worker("front", FRONT, concurrency=1)
    stack.beat()
    doomed = stack.worker("doomed", EFFECTS, concurrency=1)
    stack.wait_ready()
    platform.control(delay_seconds=60)
    agreed_session()
    wait_for(lambda: jobs("provision_meeting") == {("sending", 1): 1}, "the call to the platform")
    wait_for(lambda: puts(platform) != [], "its arrival there")

    doomed.kill()

    platform.control(delay_seconds=0)
    stack.worker("heir", EFFECTS, concurrency=1)
    wait_for(lambda: all_settled("send_invite", 2), "both invites")
    assert jobs("provision_meeting") == {("done", 2): 1}
    assert len(puts(platform)) == 2
    assert len(set(puts(platform))) == 1
    assert len(platform.rooms()) == 1
    assert len(mail.mails()) == 2


def puts(platform: FakeMeetingPlatform) -> list[str]:
    """The key of every call that makes a room, without those of the daily comparison."""
    keys = [call["idempotency_key"] for call in platform.ledger() if call["method"] == "PUT"]
    return [key for key in keys if "reconcile:" not in key]
