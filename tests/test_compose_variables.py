"""Whatever the README lets one set can be set for Compose in a file .env, or is named with its file."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.settings import Settings, load_settings, variable_of
from booking_tasks.ops.secret_files import write_secrets
from tests.deployment import ONCE, OURS, ROOT, RUNNING, make_secrets, mounted
from tests.test_readme import rows

KNOWN = {variable_of(field) for field in Settings.model_fields}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_secrets(tmp_path_factory.mktemp("deployment"))


def _environment(name: str, secrets: Path, dotenv: dict[str, str]) -> dict[str, str]:
    """The variables that Compose gives to a service, with a file .env, and where the secrets are here."""

    def interpolated(value: object) -> str:
        return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda one: dotenv.get(one[1]) or one[2], str(value))

    own = {variable: interpolated(value) for variable, value in OURS[name]["environment"].items()}
    files = mounted(name)
    return dotenv | {  # what the service names wins over the file
        variable: str(secrets / files[value]) if value in files else value for variable, value in own.items()
    }


def test_every_service_reads_the_file_and_names_only_secrets_and_defaults() -> None:
    for name in RUNNING | ONCE:
        assert OURS[name]["env_file"] == [{"path": ".env", "required": False}], name
        for variable, value in OURS[name]["environment"].items():
            is_secret = variable.endswith("_FILE") and value in mounted(name)
            assert is_secret or str(value).startswith(f"${{{variable}:-"), variable


#: The links need a secret.
_SECRET = {"link_secret": "s" * 48}
#: A value of each variable that has no default; those that need another one stand together.
_VALUES: list[dict[str, str]] = [
    {"DATABASE_DIRECT_URL": "postgresql://booking:word@db.example.org/booking_tasks"},
    {"CELERY_BROKER_URL": "amqp://booking:word@mq.example.org:5672/booking"},
    {"CELERY_RESULT_BACKEND": "redis://booking:word@redis.example.org:6379/1"},
    {"BOOKING_MEETING_TOKEN": "word"},
    {"BOOKING_SMTP_USER": "booking", "BOOKING_SMTP_PASSWORD": "word"},
    {"BOOKING_REPLY_AUTHSERV": "mx.example.org"},
    {"BOOKING_PUBLIC_URL": "https://booking.example.org"},
    {"BOOKING_EVENT_TASK": "shop.booked", "BOOKING_EVENT_QUEUE": "shop"},
]
#: What comes from a secret instead, with the file of a running service.
_OF_SECRETS = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "BOOKING_LINK_SECRET": "link_secret",
}


def _settable() -> list[dict[str, str]]:
    with_value = {name for values in _VALUES for name in values}
    defaults = {name.strip("`"): shown.strip("`") for name, shown, _ in rows("variable")}
    assert with_value.isdisjoint(name for name, shown in defaults.items() if shown)
    others = defaults.keys() - with_value - _OF_SECRETS.keys()
    return [*_VALUES, *({name: defaults[name]} for name in sorted(others))]


@pytest.mark.parametrize("values", _settable(), ids=lambda values: next(iter(values)))
def test_every_variable_of_the_readme_can_be_set_in_the_file(
    values: dict[str, str], secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    fields = {variable_of(field): field for field in Settings.model_fields}
    for name in sorted(RUNNING | ONCE):
        with monkeypatch.context() as patch:
            for variable, value in _environment(name, secrets, values).items():
                patch.setenv(variable, value)
            found = load_settings()

        expected = load_settings({fields[variable]: value for variable, value in values.items()} | _SECRET)
        for variable in values:
            assert getattr(found, fields[variable]) == getattr(expected, fields[variable]), name


def test_other_servers_are_written_into_the_files_and_secrets_are_kept(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    secret = "s" * 48
    (made / "link_secret").write_text(secret)

    write_secrets(made, redis="redis.example.org:6380", postgres="db.example.org:5433")

    urls = {name: (made / name).read_text() for name in ("database_url", "reader_database_url", "redis_url")}
    assert {name: urlsplit(url).hostname for name, url in urls.items()} == {
        "database_url": "db.example.org",
        "reader_database_url": "db.example.org",
        "redis_url": "redis.example.org",
    }
    assert (made / "link_secret").read_text() == secret
    password = (made / "booking_app_password").read_text()
    assert urlsplit(urls["database_url"]).password == password
    make_secrets(tmp_path)
    assert urlsplit((made / "database_url").read_text()).hostname == "postgres"
    assert [(made / name).read_text() for name in ("link_secret", "booking_app_password")] == [
        secret,
        password,
    ]


@pytest.mark.parametrize("variable", _OF_SECRETS)
def test_what_comes_from_a_secret_is_named_with_its_file_and_refused_in_the_file(
    variable: str, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)
    head = (ROOT / "docker-compose.yml").read_text().partition("\nname:")[0]
    excepted = head.partition("except three that contain secrets:")[2].partition("come from files")[0]
    assert set(re.findall(r"[A-Z_]{4,}", excepted)) == _OF_SECRETS.keys()
    files = re.findall(rf"^#   {variable} +(.+)$", head, flags=re.MULTILINE)
    assert [_OF_SECRETS[variable] in one for one in files] == [True]

    for name in sorted(RUNNING | ONCE):
        assert f"{variable}_FILE" in OURS[name]["environment"], name
        assert _environment(name, secrets, {})[f"{variable}_FILE"].rpartition("/")[2] in files[0], name
        with monkeypatch.context() as patch:
            for one, value in _environment(name, secrets, {variable: "x" * 48}).items():
                patch.setenv(one, value)
            with pytest.raises(SettingsError, match=f"{variable}: set both directly and by {variable}_FILE"):
                load_settings()
