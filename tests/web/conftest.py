"""The web pages over real HTTP, and a consultant who is asked to confirm a request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlalchemy import Engine, select

from booking_tasks.assignment import service as assignment
from booking_tasks.contracts import SubmitRequest
from booking_tasks.intake import service as intake
from booking_tasks.invites.notices import ANSWERS
from booking_tasks.kit import clock, database
from booking_tasks.kit.database import create_booking_engine, transaction
from booking_tasks.kit.ids import uuid7
from booking_tasks.kit.settings import load_settings, settings
from booking_tasks.kit.signed_links import Grant
from booking_tasks.models import AvailabilitySlot, ConsultationRequest, Event
from booking_tasks.ops.ready import failures
from booking_tasks.ops.servers import free_port, wait_until
from booking_tasks.unit_of_work import unit_of_work
from booking_tasks.web.serve import server
from tests import builders
from tests.accounts import WEB, as_role
from tests.builders import NOW

SECRET = "a secret of the tests that is long enough"  # a secret for the tests only


@dataclass
class Web:
    """A client of the running pages: `get` and `post` by path, without following redirects."""

    client: Any

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, **form: str) -> Any:
        return self.client.post(path, data=form)


@pytest.fixture
def own_role(own_database: str) -> Iterator[None]:
    """The threads of the pages connect as booking_web, as their process does, and the test as booking_app."""
    of_app = database.engine
    of_web = create_booking_engine(load_settings({"database_url": as_role(own_database, WEB)}))

    def of_this_thread() -> Engine:
        return of_web if threading.current_thread().name.startswith("AnyIO") else of_app()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "engine", of_this_thread)
        yield
    of_web.dispose()


@pytest.fixture
def web(own_role: None, valkey: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """The web pages in this process, on loopback; the stepped clock is at NOW."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    for name, value in {"PUBLIC_URL": address, "LINK_SECRET": SECRET, "CLOCK": "stepped"}.items():
        monkeypatch.setenv(f"BOOKING_{name}", value)
    settings.cache_clear()
    with transaction() as db:
        clock.step(db, NOW)
    links = settings().links
    assert links is not None
    running = server(links, "127.0.0.1", port, lambda: failures(settings()))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        wait_until(lambda: running.started, "the web server")
        with httpx2.Client(base_url=address, timeout=20) as client:
            yield Web(client)
    finally:
        running.should_exit = True
        thread.join(20)


@dataclass
class ConfirmingService:
    """A service type whose consultants confirm, and some consultants with a free day."""

    service_type: UUID
    consultants: list[UUID]

    def request_confirmation(self, **values: Any) -> UUID:
        """A request that one of the consultants is asked to confirm."""
        request_id = uuid7()
        body = {
            "message_id": uuid4(),
            "actor": "mira",
            "request_id": request_id,
            "service_type_id": self.service_type,
        }
        with unit_of_work("test", "booking") as (db, ctx):
            mira = builders.user(db, name="Mira Lang").user_id
            command = SubmitRequest.model_validate(body | {"requester_user_id": mira} | values)
            new = intake.submission(db, ctx, command)
            assert isinstance(new, intake.Submission)
            intake.insert_request(db, ctx, new)
            assert assignment.assign(db, ctx, request_id).result == "confirmation_requested"
        return request_id

    def link(self, request_id: UUID, **changes: Any) -> str:
        """The path of the link in the mail to the consultant."""
        links = settings().links
        assert links is not None
        with transaction() as db:
            event = db.execute(
                select(Event)
                .where(
                    Event.consultation_request_id == request_id,
                    Event.type == "request.confirmation_requested",
                )
                .order_by(Event.position.desc())
                .limit(1)
            ).scalar_one()
            until = db.execute(
                select(AvailabilitySlot.held_until).where(
                    AvailabilitySlot.consultation_request_id == request_id
                )
            ).scalar_one_or_none()
        values = {"subject": event.id, "person": event.consultant_user_id, "until": until} | changes
        return f"/{ANSWERS}/{links.token(Grant(ANSWERS, **values))}"

    def request(self, request_id: UUID) -> ConsultationRequest:
        with transaction() as db:
            return db.get_one(ConsultationRequest, request_id)

    def history(self, request_id: UUID) -> list[tuple[str, str, str]]:
        """Type, actor and entry point of each event, in order."""
        with transaction() as db:
            rows = db.execute(
                select(Event.type, Event.actor, Event.entry_point)
                .where(Event.consultation_request_id == request_id)
                .order_by(Event.position)
            )
            return [(row[0], row[1], row[2]) for row in rows]


@pytest.fixture
def confirming(web: Web) -> ConfirmingService:
    """Two consultants who read German in Vienna."""
    with transaction() as db:
        service_type = builders.service_type(db, name="Algebra", requires_confirmation=True)
        who = [builders.consultant(db).consultant_user_id for _ in range(2)]
        for one in who:
            builders.user(db, user_id=one, name="Dr Weber", language="de", time_zone="Europe/Vienna")
            builders.window(db, one, NOW)
    return ConfirmingService(service_type.id, who)
