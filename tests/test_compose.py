"""docker-compose.yml: valid by the Compose Specification, and in the words this service understands."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from booking_tasks.settings import Settings, load_settings, variable_of

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"] == "booking-tasks"}
KNOWN = {variable_of(field) for field in Settings.model_fields}


def _faults(document: dict[str, Any]) -> list[ValidationError]:
    Draft7Validator.check_schema(SCHEMA)
    return list(Draft7Validator(SCHEMA).iter_errors(document))


def test_the_file_is_valid_compose() -> None:
    assert _faults(COMPOSE) == []


def _misspelt_key(document: dict[str, Any]) -> None:
    document["services"]["worker"]["comand"] = document["services"]["worker"].pop("command")


def _wrong_condition(document: dict[str, Any]) -> None:
    document["services"]["worker"]["depends_on"]["migrate"]["condition"] = "service_done"


def _wrong_type(document: dict[str, Any]) -> None:
    document["services"]["redis"]["volumes"] = "redis:/data"


def _unknown_top_level(document: dict[str, Any]) -> None:
    document["service"] = {}


@pytest.mark.parametrize("damage", [_misspelt_key, _wrong_condition, _wrong_type, _unknown_top_level])
def test_a_broken_file_is_refused(damage: Callable[[dict[str, Any]], None]) -> None:
    broken = copy.deepcopy(COMPOSE)
    damage(broken)

    assert _faults(broken) != []


def test_the_services_are_the_two_servers_one_migration_a_worker_and_a_beat() -> None:
    assert COMPOSE["services"].keys() == {"postgres", "redis", "migrate", "worker", "beat"}
    assert {name: one["command"] for name, one in OURS.items()} == {
        name: ["booking-tasks", name] for name in ("migrate", "worker", "beat")
    }


def _unknown_variables(environment: dict[str, Any]) -> set[str]:
    return {name for name in environment if name.removesuffix("_FILE") not in KNOWN}


def test_every_variable_is_one_that_the_settings_know() -> None:
    for name, service in OURS.items():
        assert service["environment"], name
        assert _unknown_variables(service["environment"]) == set(), name
    assert _unknown_variables({"BOOKING_SMPT_HOST": "", "DATABASE_URL_FILE": ""}) == {"BOOKING_SMPT_HOST"}


def test_the_values_given_by_default_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    secret = tmp_path / "database_url"
    secret.write_text("postgresql://booking:word@postgres:5432/booking_tasks")
    for name, value in OURS["worker"]["environment"].items():
        default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        monkeypatch.setenv(name, str(secret) if name == "DATABASE_URL_FILE" else default)

    config = load_settings()

    assert config.database_url == "postgresql+psycopg://booking:word@postgres:5432/booking_tasks"
    assert config.redis_url == "redis://redis:6379/0"


def test_no_password_stands_in_the_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE"), name
            assert not re.search(r"://[^/]*:[^/]*@", str(value)), name
        for secret in service.get("secrets", []):
            assert COMPOSE["secrets"][secret]["file"].startswith("./secrets/")


def test_workers_and_beat_wait_for_the_finished_migration() -> None:
    for name in ("worker", "beat"):
        conditions = {other: one["condition"] for other, one in OURS[name]["depends_on"].items()}
        assert conditions == {"migrate": "service_completed_successfully", "redis": "service_healthy"}
    assert OURS["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_whatever_keeps_running_says_whether_it_is_well_and_has_time_to_stop() -> None:
    for name, service in COMPOSE["services"].items():
        if name == "migrate":
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["stop_grace_period"].endswith("s"), name
    for name in ("worker", "beat"):
        assert OURS[name]["healthcheck"]["test"] == ["CMD", "booking-tasks", "health"]
        assert OURS[name]["init"] is True


def test_the_image_is_made_from_the_lock_and_runs_unprivileged() -> None:
    steps = OURS["worker"]["build"]["dockerfile_inline"]

    assert "pip install --no-cache-dir --require-hashes -r requirements-runtime.lock" in steps
    assert "\nUSER booking" in steps
    assert len({json.dumps(service["build"]) for service in OURS.values()}) == 1
