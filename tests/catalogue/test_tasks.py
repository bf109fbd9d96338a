"""The catalogue's public door: a refusal is stored like any other answer."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy import func, select

from booking_tasks.catalogue import tasks
from booking_tasks.kit.database import transaction
from booking_tasks.models import Consultant, ServiceType


def message(**values: Any) -> dict[str, Any]:
    return {"message_id": str(uuid4()), "actor": "staff"} | values


def service_type(name: str) -> dict[str, Any]:
    return message(service_type_id=str(uuid4()), name=name, default_duration_minutes=45)


def test_a_taken_name_is_refused_and_the_refusal_is_remembered(own_database: str, valkey: str) -> None:
    assert tasks.upsert_service_type(request=service_type("Algebra"))["result"] == "done"
    second = service_type("Algebra")
    first_answer = tasks.upsert_service_type(request=second)
    assert first_answer["code"] == "name_taken"
    assert tasks.upsert_service_type(request=second) == first_answer
    with transaction() as db:
        assert db.scalar(select(func.count()).select_from(ServiceType)) == 1


def test_a_consultant_in_a_zone_nobody_knows_is_refused(own_database: str, valkey: str) -> None:
    answer = tasks.upsert_consultant(
        request=message(consultant_user_id=str(uuid4()), time_zone="Europe/Atlantis")
    )
    assert (answer["code"], answer["errors"][0]["field"]) == ("invalid", "time_zone")
    with transaction() as db:
        assert db.scalar(select(func.count()).select_from(Consultant)) == 0
