"""The service on RabbitMQ alone, with the shipped accounts: answers, refusals and events, and no Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection

from booking_tasks.client import BookingClient, NoAnswerError, NotSentError
from booking_tasks.contracts import (
    Command,
    SearchSlots,
    SetAvailability,
    SubmitRequest,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
    WeeklyHours,
)
from booking_tasks.contracts.base import OutcomeT
from booking_tasks.enums import RefusalCode
from booking_tasks.kit.answer_queue import AnswerQueue
from booking_tasks.ops.fake_meeting_platform import FakeMeetingPlatform
from booking_tasks.ops.mail_sink import MailSink
from booking_tasks.ops.servers import wait_until
from booking_tasks.ops.service_processes import ServiceProcess
from tests.accounts import as_superuser
from tests.conftest import copied_database
from tests.messages.access import GuardedRabbitMQ
from tests.messages.conftest import started
from tests.messages.property_frames import ODD_HEADERS, properties, short, sound_parts
from tests.messages.rabbitmq_worker import RawProducer
from tests.messages.raw import SEARCH, search, submit
from tests.messages.running_worker import Rows

pytestmark = [pytest.mark.rabbitmq, pytest.mark.stack, pytest.mark.timeout(600)]

#: How long an answer is waited for, in seconds: far longer than it takes on an idle machine.
PATIENCE = 120
_EVENTS = ("request.submitted", "session.scheduled", "session.meeting_ready")
PERSON: dict[str, Any] = {"name": "A", "email": "a@example.org", "time_zone": "UTC", "language": "en"}


class Service:
    """A worker of all queues and a beat on a broker with the shipped definitions; database and mails."""

    def __init__(self, broker: GuardedRabbitMQ, worker: ServiceProcess, rows: Rows, mail: MailSink) -> None:
        self.broker, self.worker, self.rows, self.mail = broker, worker, rows, mail

    def client(self, account: str = "producer-booking") -> BookingClient:
        return BookingClient(self.broker.url_of(account))

    def log(self) -> str:
        return self.worker.log.read_text()


@pytest.fixture(scope="module")
def service(template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("rabbitmq-alone")
    with (
        GuardedRabbitMQ(folder / "broker") as broker,
        copied_database(template) as database,
        FakeMeetingPlatform() as platform,
        MailSink(folder / "mail") as mail,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.delenv("REDIS_URL")
        settings = {
            "DATABASE_URL": database,
            "CELERY_BROKER_URL": broker.url_of("worker"),
            "BOOKING_MEETING_URL": platform.url,
            "BOOKING_SMTP_PORT": str(mail.port),
        }
        worker = ServiceProcess("worker", folder, ["worker", "-c", "2"], settings)
        beat = ServiceProcess("beat", folder, ["beat"], settings)  # what a lost wake-up leaves is done later
        rows = Rows(as_superuser(database))
        try:
            started(worker)
            yield Service(broker, worker, rows, mail)
        finally:
            beat.stop()
            worker.stop()
            rows.close()


@pytest.fixture
def client(service: Service) -> Iterator[BookingClient]:
    made = service.client()
    yield made
    made.close()


@pytest.fixture
def answers(service: Service) -> Iterator[AnswerQueue]:
    made = AnswerQueue(service.broker.url_of("producer-booking"), "producer-booking")
    yield made
    made.close()


def question() -> SearchSlots:
    return SearchSlots.model_validate(search())


def publish(service: Service, headers: dict[str, Any], body: Any, **properties: Any) -> None:
    """Publish one message as a program in any language does."""
    with Connection(service.broker.url_of("producer-booking")) as connection:
        connection.Producer().publish(
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            exchange="booking.requests",
            routing_key="booking",
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
            **properties,
        )


def answered(service: Service, answers: AnswerQueue, headers: dict[str, Any], body: Any) -> dict[str, Any]:
    """Send a message that waits for its answer; the outcome."""
    id_ = str(uuid4())
    pending = answers.expect(id_)
    sender = {"reply_to": pending.address, "user_id": "producer-booking"}
    publish(service, {"id": id_, "ignore_result": False, **headers}, body, **sender)
    outcome: dict[str, Any] = pending.get(PATIENCE)
    return outcome


def test_a_question_is_answered_to_its_sender(client: BookingClient) -> None:
    receipts = [client.send(question(), wait=True) for _ in range(3)]
    for receipt in reversed(receipts):
        assert receipt.outcome(PATIENCE).code == RefusalCode.UNKNOWN_SERVICE_TYPE


def test_threads_share_one_queue_of_answers(client: BookingClient) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: client.send(question(), wait=True).outcome(PATIENCE).code, range(24)))

    assert codes == [RefusalCode.UNKNOWN_SERVICE_TYPE] * 24


def test_an_account_sends_to_its_own_queue_only(service: Service, client: BookingClient) -> None:
    user = UpsertUser(message_id=uuid4(), actor="shop", user_id=uuid4(), **PERSON)
    with pytest.raises(NotSentError, match="ACCESS_REFUSED"):
        client.send(user, wait=True)
    assert client.send(question(), wait=True).outcome(PATIENCE).result == "refused"


def test_a_lost_answer_is_fetched_by_sending_the_same_message_again(service: Service) -> None:
    command = SubmitRequest.model_validate(submit())
    lost = service.client()
    lost.send(command, wait=True)
    lost.close()  # before the answer is read
    inbox = "SELECT outcome FROM inbox WHERE message_id = %s AND outcome IS NOT NULL"
    wait_until(lambda: len(service.rows(inbox, command.message_id)) == 1, "the answer", PATIENCE)

    again = service.client()
    outcome = again.send(command, wait=True).outcome(PATIENCE)
    again.close()

    assert outcome.code == RefusalCode.UNKNOWN_SERVICE_TYPE
    assert outcome.model_dump(mode="json") == service.rows(inbox, command.message_id)[0]["outcome"]


def test_answers_go_on_after_the_connections_were_closed(service: Service, client: BookingClient) -> None:
    assert client.send(question(), wait=True).outcome(PATIENCE).result == "refused"
    service.broker.close_all_connections()

    def is_answered() -> bool:
        with suppress(NoAnswerError, NotSentError):
            return client.send(question(), wait=True).outcome(5).result == "refused"
        return False

    wait_until(is_answered, "an answer over new connections", PATIENCE)


@pytest.mark.parametrize(
    ("sender", "reason"),
    [
        ({"user_id": None}, "user_id is missing"),
        ({"reply_to": None}, "reply_to is missing"),
        ({"reply_to": f"answers.producer-admin.{uuid4()}"}, "reply_to is not"),
        ({"reply_to": "answers.producer-booking.x"}, "reply_to is not"),
    ],
)
def test_a_sender_without_a_verified_address_is_run_and_answered_nowhere(
    service: Service, answers: AnswerQueue, sender: dict[str, Any], reason: str
) -> None:
    id_, request = str(uuid4()), submit()
    pending = answers.expect(id_)
    properties = {"reply_to": pending.address, "user_id": "producer-booking"} | sender
    named = {name: value for name, value in properties.items() if value is not None}
    headers = {"task": "booking_tasks.v1.submit_request", "id": id_, "ignore_result": False}
    publish(service, headers, [[], {"request": request}, {}], **named)

    inbox = "SELECT 1 FROM inbox WHERE message_id = %s AND outcome IS NOT NULL"
    wait_until(lambda: len(service.rows(inbox, request["message_id"])) == 1, "its end", PATIENCE)
    # The next answer has arrived, so this one was sent to nobody.
    assert (
        answered(service, answers, {"task": SEARCH}, [[], {"request": search()}, {}])["result"] == "refused"
    )
    assert pending.content is None
    [line] = [one for one in service.log().splitlines() if "message.unanswerable" in one and id_ in one]
    assert reason in line


@pytest.mark.parametrize(
    ("headers", "body", "code", "reason"),
    [
        ({"task": SEARCH}, b"{", "invalid", "the body is not JSON"),
        ({"task": SEARCH}, b" " * 2_000_000, "invalid", "the body is larger than"),
        ({"task": "celery.backend_cleanup"}, [[], {}, {}], "invalid", "there is no such task"),
        ({"task": "booking_tasks.v1.upsert_user"}, [[], {"request": {}}, {}], "invalid", "queue admin only"),
        ({"task": SEARCH, "eta": "2030-01-01"}, [[], {}, {}], "invalid", "headers.eta is not accepted"),
        ({"task": SEARCH}, [[], {"request": {}}, {}], "invalid", "service_type_id: "),
        ({"task": SEARCH}, [[], {"request": search() | {"start": "soon"}}, {}], "invalid", "start: "),
        (
            {"task": "booking_tasks.v9.dance"},
            [[], {"request": {}}, {}],
            "parked",
            "no such task in this release",
        ),
    ],
)
def test_a_message_that_is_refused_or_parked_is_answered_with_the_reason(
    service: Service, answers: AnswerQueue, headers: dict[str, Any], body: Any, code: str, reason: str
) -> None:
    outcome = answered(service, answers, headers, body)

    assert (outcome["result"], outcome["code"]) == ("refused", code)
    assert reason in outcome["message"]


@pytest.mark.parametrize("name", ODD_HEADERS)
def test_a_message_with_headers_that_cannot_be_read_is_answered_with_the_reason(
    service: Service, answers: AnswerQueue, name: str
) -> None:
    header, value, reason = ODD_HEADERS[name]
    id_ = str(uuid4())
    pending = answers.expect(id_)
    sender = {"reply_to": short(pending.address), "user_id": short("producer-booking")}
    producer = RawProducer(service.broker.url_of("producer-booking"))
    assert producer.publish(properties(**sound_parts(id_, (header, value)), **sender))
    producer.close()

    outcome = pending.get(PATIENCE)

    assert (outcome["result"], outcome["code"]) == ("refused", "invalid")
    assert reason in outcome["message"]


def insisted(client: BookingClient, command: Command[OutcomeT]) -> OutcomeT:
    """Send a command until it is answered, as every caller should; the outcome."""
    outcomes: list[OutcomeT] = []

    def is_answered() -> bool:
        with suppress(NoAnswerError, NotSentError):
            outcomes.append(client.send(command, wait=True).outcome(20))
        return outcomes != []

    wait_until(is_answered, f"the outcome of {command.task}", PATIENCE)
    return outcomes[0]


def test_a_whole_booking_with_answer_invitations_and_events(service: Service, client: BookingClient) -> None:
    admin = service.client("producer-admin")
    events, mails_before = _events(service), len(service.mail.mails())
    requester, consultant, service_type = uuid4(), uuid4(), uuid4()
    hours = tuple(WeeklyHours(weekday=day, start=time(0), end=time(0)) for day in range(1, 8))
    try:
        commands: tuple[Command[Any], ...] = (
            UpsertServiceType(
                message_id=uuid4(),
                actor="test",
                service_type_id=service_type,
                name=f"Tutoring {service_type}",
                default_duration_minutes=60,
            ),
            UpsertUser(message_id=uuid4(), actor="test", user_id=requester, **PERSON),
            UpsertUser(message_id=uuid4(), actor="test", user_id=consultant, **PERSON),
            UpsertConsultant(
                message_id=uuid4(), actor="test", consultant_user_id=consultant, time_zone="UTC"
            ),
            SetAvailability(message_id=uuid4(), actor="test", consultant_user_id=consultant, weekly=hours),
        )
        for command in commands:
            assert insisted(admin, command).result == "done", command
    finally:
        admin.close()
    start = (datetime.now(UTC) + timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
    request = SubmitRequest(
        message_id=uuid4(),
        actor="test",
        request_id=uuid4(),
        requester_user_id=requester,
        service_type_id=service_type,
        preferred_start=start,
        preferred_end=start + timedelta(hours=1),
    )
    outcome = insisted(client, request)
    assert (outcome.result, outcome.status) == ("done", "scheduled")

    wait_until(lambda: len(service.mail.mails()) >= mails_before + 2, "both invitations", PATIENCE)
    missing = {f"booking.{one}.v1" for one in _EVENTS}
    while missing:  # in any order: a retry may overtake
        event = events.get(block=True, timeout=PATIENCE)
        missing.discard(event.delivery_info["routing_key"])
        content = json.loads(event.body)
        assert (event.properties["message_id"], event.properties["type"]) == (content["id"], content["type"])
        event.ack()
    events.close()


def _events(service: Service) -> Any:
    """A queue of another service that gets every event."""
    connection = Connection(service.broker.url_of("events"))
    queue, channel = f"events.{uuid4()}", connection.channel()
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(queue, "booking.events", "booking.#")
    return connection.SimpleQueue(queue, queue_opts={"no_declare": True}, exchange_opts={"no_declare": True})


def test_rpc_is_refused_at_start(service: Service, tmp_path: Path) -> None:
    environment = {"CELERY_BROKER_URL": service.broker.url_of("worker"), "CELERY_RESULT_BACKEND": "rpc://"}
    worker = ServiceProcess("refused", tmp_path, ["worker"], environment)
    wait_until(lambda: not worker.running, "the end of the worker", PATIENCE)

    [line] = [one for one in worker.log.read_text().splitlines() if "CELERY_RESULT_BACKEND" in one]
    assert "leave it unset: answers then go over the exchange booking.answers" in line
    with pytest.raises(ValueError, match="leave it out"):
        BookingClient(service.broker.url_of("producer-booking"), "rpc://")
