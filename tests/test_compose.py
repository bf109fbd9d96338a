"""docker-compose.yml is valid by the Compose Specification, and its settings are known to the service."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from booking_tasks.kit.queues import QUEUES
from booking_tasks.kit.settings import Settings, load_settings, variable_of
from booking_tasks.ops import brokers
from booking_tasks.ops.secret_files import ACCESS
from booking_tasks.ops.servers import Valkey
from booking_tasks.outbox.job_args import JobType
from booking_tasks.outbox.jobs import JOB_TYPES
from tests.deployment import COMPOSE, ONCE, OURS, ROOT, RUNNING, make_secrets, mounted

SCHEMA = json.loads((Path(__file__).parent / "data" / "compose-spec.json").read_text())
KNOWN = {variable_of(field) for field in Settings.model_fields}


class AclValkey(Valkey):
    """A server with the accounts of a file."""

    def __init__(self, folder: Path, accounts: Path) -> None:
        super().__init__(folder, durable=False)
        self._accounts = accounts

    def command(self) -> list[str]:
        return [*super().command(), "--aclfile", str(self._accounts)]


def _faults(document: dict[str, Any]) -> list[ValidationError]:
    Draft7Validator.check_schema(SCHEMA)
    return list(Draft7Validator(SCHEMA).iter_errors(document))


def test_the_file_is_valid_compose() -> None:
    assert _faults(COMPOSE) == []


def _misspelt_key(document: dict[str, Any]) -> None:
    document["services"]["beat"]["comand"] = document["services"]["beat"].pop("command")


def _wrong_condition(document: dict[str, Any]) -> None:
    document["services"]["beat"]["depends_on"]["ready"]["condition"] = "service_done"


def _wrong_type(document: dict[str, Any]) -> None:
    document["services"]["redis"]["volumes"] = "redis:/data"


def _unknown_top_level(document: dict[str, Any]) -> None:
    document["service"] = {}


@pytest.mark.parametrize("damage", [_misspelt_key, _wrong_condition, _wrong_type, _unknown_top_level])
def test_a_broken_file_is_refused(damage: Callable[[dict[str, Any]], None]) -> None:
    broken = copy.deepcopy(COMPOSE)
    damage(broken)

    assert _faults(broken) != []


def test_the_services_are_the_two_servers_one_migration_two_workers_a_beat_and_on_demand_the_web() -> None:
    always = {name for name, one in COMPOSE["services"].items() if "profiles" not in one}
    assert always == {"postgres", "redis", "migrate", "ready", "worker-front", "worker-effects", "beat"}
    assert {name: OURS[name]["command"][:2] for name in RUNNING | ONCE} == {
        name: ["booking-tasks", name.partition("-")[0]] for name in RUNNING | ONCE
    }
    assert OURS.keys() == (always - {"postgres", "redis"}) | {"web", "metrics", "meetings"}


def test_the_two_workers_share_out_every_queue() -> None:
    taken = [one["command"][3].split(",") for one in (OURS["worker-front"], OURS["worker-effects"])]
    assert sorted(taken[0] + taken[1]) == sorted(QUEUES)
    assert {
        JOB_TYPES[job_type].queue for job_type in (JobType.PROVISION_MEETING, JobType.SEND_INVITE)
    } == set(taken[1])


def test_the_extras_start_only_with_their_profile_and_serve_only_on_loopback() -> None:
    extras = {name: one for name, one in COMPOSE["services"].items() if "profiles" in one}
    assert {name: one["profiles"] for name, one in extras.items()} == {
        "flower": ["monitoring"],
        "mail": ["mail"],
        "meetings": ["meetings"],
        "metrics": ["monitoring"],
        "web": ["web"],
    }
    published = {name: one["ports"] for name, one in COMPOSE["services"].items() if "ports" in one}
    assert published.keys() == extras.keys() - {"meetings"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_the_mailbox_of_the_profile_is_where_mail_goes_by_default() -> None:
    environment = OURS["worker-effects"]["environment"]
    assert environment["BOOKING_SMTP_HOST"] == "${BOOKING_SMTP_HOST:-mail}"
    assert environment["BOOKING_SMTP_PORT"] == "${BOOKING_SMTP_PORT:-25}"
    assert COMPOSE["services"]["mail"]["environment"]["MP_SMTP_BIND_ADDR"].endswith(":25")


def test_nothing_may_gain_rights_and_what_is_ours_writes_nowhere_but_in_tmp() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        if name != "postgres":
            assert service["read_only"] is True, name
    for name in (*OURS, "flower", "mail"):
        assert COMPOSE["services"][name]["cap_drop"] == ["ALL"], name


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_secrets(tmp_path_factory.mktemp("deployment"))


def test_every_secret_is_made_by_make_secrets(secrets: Path) -> None:
    made = {path.name for path in secrets.iterdir()}
    assert {Path(one["file"]).name for one in COMPOSE["secrets"].values()} <= made
    assert secrets.stat().st_mode & 0o777 == 0o700


def test_whoever_changes_rows_may_not_change_the_schema(secrets: Path) -> None:
    accounts = {
        name: (secrets / mounted(name)["/run/secrets/database_url"]).read_text().split("//")[1].split(":")[0]
        for name in RUNNING | ONCE
    }
    assert accounts == dict.fromkeys(RUNNING | {"ready"}, "booking_app") | {
        "migrate": "booking_migrator",
        "web": "booking_web",
        "metrics": "booking_reader",
    }
    assert mounted("postgres")["/docker-entrypoint-initdb.d/roles.sql"] == "roles.sql"
    roles = (secrets / "roles.sql").read_text()
    assert "CREATE ROLE" in roles
    for role in set(accounts.values()):
        assert f"ALTER ROLE {role} PASSWORD '{(secrets / f'{role}_password').read_text()}'" in roles


def test_redis_writes_down_what_it_has_and_lets_nobody_in_without_a_name(
    secrets: Path, tmp_path: Path
) -> None:
    command = COMPOSE["services"]["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    accounts = secrets / mounted("redis")[command[command.index("--aclfile") + 1]]

    with AclValkey(tmp_path / "valkey", accounts) as server:
        where = f"127.0.0.1:{server.port}"
        worker = secrets / mounted("worker-front")["/run/secrets/redis_url"]
        ours = worker.read_text().replace("redis:6379", where)
        brokers.ping(ours, 3)
        assert not brokers.is_open(ours, 3)
        with redis.Redis.from_url(ours) as service:
            for denied in ("FLUSHALL", "CONFIG GET *", "SHUTDOWN", "ACL LIST", "KEYS *"):
                with pytest.raises(redis.ResponseError, match="no permissions"):
                    service.execute_command(*denied.split())
        monitor = (secrets / mounted("flower")["/run/secrets/redis_monitor_url"]).read_text()
        with redis.Redis.from_url(monitor.replace("redis:6379", where)) as watcher:
            assert watcher.llen("booking") == 0
            with pytest.raises(redis.ResponseError, match="no permissions"):
                watcher.lpush("booking", "{}")
        health = COMPOSE["services"]["redis"]["healthcheck"]["test"]
        user, word = health[health.index("--user") + 1], health[health.index("--pass") + 1]
        with redis.Redis.from_url(f"redis://{user}:{word}@{where}/0") as anybody:
            assert anybody.ping()
            with pytest.raises(redis.ResponseError, match="no permissions"):
                anybody.llen("booking")


def _unknown_variables(environment: dict[str, Any]) -> set[str]:
    return {name for name in environment if name.removesuffix("_FILE") not in KNOWN}


def test_every_variable_is_one_that_the_settings_know() -> None:
    for name, service in OURS.items():
        assert bool(service["environment"]) is (name != "meetings")
        assert _unknown_variables(service["environment"]) == set(), name
    assert _unknown_variables({"BOOKING_SMPT_HOST": "", "DATABASE_URL_FILE": ""}) == {"BOOKING_SMPT_HOST"}


def test_the_default_values_are_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "database_url").write_text("postgresql://booking:word@postgres:5432/booking_tasks")
    (tmp_path / "redis_url").write_text("redis://booking:word@redis:6379/0")
    (tmp_path / "link_secret").write_text("s" * 48)
    for name, value in OURS["beat"]["environment"].items():
        default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        monkeypatch.setenv(name, default.replace("/run/secrets", str(tmp_path)))

    config = load_settings()

    assert config.database_url == "postgresql+psycopg://booking:word@postgres:5432/booking_tasks"
    assert config.redis_url == "redis://booking:word@redis:6379/0"
    assert config.links is None

    monkeypatch.setenv("BOOKING_PUBLIC_URL", "https://booking.example.org")
    assert load_settings().links is not None


def test_no_password_stands_in_the_file() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or name.endswith("_FILE"), name
            assert not re.search(r"://[^/]*:[^/]*@", str(value)), name
    assert all(one["file"].startswith("./secrets/") for one in COMPOSE["secrets"].values())


def _conditions(name: str) -> dict[str, str]:
    return {other: one["condition"] for other, one in OURS[name]["depends_on"].items()}


def test_workers_and_beat_wait_until_database_and_broker_take_a_write_of_theirs() -> None:
    for name in RUNNING:
        assert _conditions(name) == {"ready": "service_completed_successfully", "redis": "service_healthy"}
    assert _conditions("ready") == {"migrate": "service_completed_successfully", "redis": "service_healthy"}
    assert OURS["ready"]["command"][:3] == ["booking-tasks", "ready", "--wait"]
    assert OURS["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def test_whatever_keeps_running_says_whether_it_is_well_and_has_time_to_stop() -> None:
    for name, service in COMPOSE["services"].items():
        if name in ONCE:
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["stop_grace_period"].endswith("s"), name
    for name in RUNNING:
        assert OURS[name]["healthcheck"]["test"] == ["CMD", "booking-tasks", "health"]
        assert OURS[name]["init"] is True


def test_the_image_is_made_from_the_lock_and_runs_unprivileged() -> None:
    steps = OURS["beat"]["build"]["dockerfile_inline"]

    assert "pip install --no-cache-dir --require-hashes -r requirements-runtime.lock" in steps
    assert "\nUSER booking" in steps
    lock = (ROOT / "requirements-runtime.lock").read_text()
    assert {"\nstarlette==", "\nuvicorn=="} <= set(re.findall(r"\n[a-z]+==", lock))
    assert len({json.dumps(service["build"]) for service in OURS.values()}) == 1


def _addresses() -> dict[str, tuple[str, str]]:
    """The default host and port of each server that the settings name."""
    environment = OURS["worker-effects"]["environment"]
    default = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for name, value in environment.items()}
    meetings = urlsplit(default["BOOKING_MEETING_URL"])
    return {
        "meetings": (str(meetings.hostname), str(meetings.port)),
        "mail": (default["BOOKING_SMTP_HOST"], default["BOOKING_SMTP_PORT"]),
    }


def test_the_default_addresses_name_services_that_exist_and_listen_there(secrets: Path) -> None:
    services = COMPOSE["services"]
    addresses = _addresses()
    assert {host for host, _ in addresses.values()} <= services.keys()
    command = services[addresses["meetings"][0]]["command"]
    assert command[command.index("--port") + 1] == addresses["meetings"][1]
    assert command[command.index("--host") + 1] == "0.0.0.0"
    mail = services[addresses["mail"][0]]["environment"]["MP_SMTP_BIND_ADDR"]
    assert mail == f"0.0.0.0:{addresses['mail'][1]}"
    for url in ("database_url", "migrator_database_url", "redis_url"):
        assert urlsplit((secrets / url).read_text()).hostname in services


def test_the_access_rules_load_on_every_version_that_their_first_line_names(valkey: str) -> None:
    template = (ACCESS / "redis.acl").read_text()
    named = re.findall(r"(?:Redis|Valkey) (\d+)(?:\.(\d+))?", template.splitlines()[0])
    oldest = min((int(major), int(minor or 0)) for major, minor in named)
    rules = re.sub(r"^#.*$", "", template, flags=re.MULTILINE)
    commands = sorted(set(re.findall(r"(?<=\+)[a-z]+(?:\|[a-z]+)?", rules)))
    assert len(commands) > 50
    with redis.Redis.from_url(valkey, decode_responses=True) as server:
        since = {one: _since(server, one) for one in commands}

    assert {one: version for one, version in since.items() if version > oldest} == {}
    image = re.fullmatch(r"redis:(\d+)-alpine", COMPOSE["services"]["redis"]["image"])
    assert image is not None
    assert (int(image[1]), 0) >= oldest


def _since(server: redis.Redis, command: str) -> tuple[int, int]:
    """The version of Redis that brought a command, by the server's own documentation."""
    name = command.partition("|")[0]
    found: dict[str, Any] = server.execute_command("COMMAND DOCS", name)[name]  # type: ignore[no-untyped-call]
    if "|" in command:
        found = found["subcommands"][command]
    major, minor, *_ = found["since"].split(".")
    return int(major), int(minor)
