"""Impossible values of each setting are refused with its name, and so are misspelt names."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.setting_names import edits, meant
from booking_tasks.kit.settings import Settings, known_names, load_settings, unknown_settings, variable_of
from booking_tasks.mail.dates import Language

SECRET = "hush-hush"

#: What is impossible besides the values that no setting of the type accepts (`_by_type`).
IMPOSSIBLE: dict[str, tuple[str, ...]] = {
    "BOOKING_DATABASE_POOL_SIZE": ("1",),
    "DATABASE_URL": ("postgresql://a:1x/booking", "mysql://a/booking"),
    "REDIS_URL": (
        "localhost:6379",
        "http://localhost:6379/0",
        "redis:///0",
        "redis://localhost:0/0",
        "redis://localhost:66379/0",
        f"redis://worker:{SECRET}@localhost:6x/0",
        f"redis://worker:{SECRET}@localhost:6379/first",
        f"redis://worker:{SECRET} @localhost:6379/0",
    ),
    "CELERY_BROKER_URL": ("rabbit", "amqp://host:5672x//", "redis://localhost:6379/first", "amqp://ho st//"),
    "CELERY_RESULT_BACKEND": ("redis", "redis://localhost:6379x/0", "redis:///1"),
    "BOOKING_STATEMENT_TIMEOUT": ("0.0001s", "3d"),
    "BOOKING_LOCK_TIMEOUT": ("0.0009s", "1000000000000d"),
    "BOOKING_RETRY_CAP": ("1s",),
    "BOOKING_RESULT_EXPIRY": ("0.5s",),
    "BOOKING_HEARTBEAT_FILE": ("", "/tmp"),
    "BOOKING_HORIZON": ("40000d",),
    "BOOKING_ASSIGNMENT_BATCH_TIME": ("3m",),
    "BOOKING_ASSIGNMENT_WEIGHTS": (
        "fairness",
        "fairness=x",
        "luck=1",
        "fairness=1,fairness=2",
        "fairness=-1",
    ),
    "BOOKING_CALENDAR_TIMEOUT": ("3m",),
    "BOOKING_CALENDAR_PRIVATE_HOSTS": ("https://cal.example.org", "cal.example.org:443", "a b"),
    "BOOKING_MEETING_URL": (
        "ftp://x",
        "meet.example.org",
        "https://",
        "https://meet.example.org/?room=1",
        "https://meet.example.org/#room",
        f"https://user:{SECRET}@meet.example.org",
        "https://meet.example.org:99999",
        "https://meet .example.org",
        "",
    ),
    "BOOKING_MEETING_TOKEN": (f"{SECRET} x", f"{SECRET}\nX-Other: 1", f"{SECRET}ö"),
    "BOOKING_MEETING_TIMEOUT": ("30s",),
    "BOOKING_SMTP_HOST": ("smtp.example.org:587", "smtp://smtp.example.org", "a b", "", "-a", "a..b"),
    "BOOKING_SMTP_PORT": ("0", "65536", "smtp"),
    "BOOKING_SMTP_USER": ("ann\nb",),
    "BOOKING_SMTP_PASSWORD": (SECRET,),
    "BOOKING_SMTP_TIMEOUT": ("30s",),
    "BOOKING_MAIL_ADDRESS": (
        "foo",
        "@example.org",
        "foo@",
        "a@b@example.org",
        "Ann <ann@example.org>",
        "a b@example.org",
        "ann@exa mple.org",
        "ann@example..org",
        "änn@example.org",
        "ann@exämple.org",
        "ann@example.org, bob@example.org",
        "",
    ),
    "BOOKING_MAIL_NAME": ("", " ", "Consul\ntations", "x" * 201),
    "BOOKING_UID_DOMAIN": ("a b", "", "a@b", "https://a", "a..b", "ä.example.org", "a/b"),
    "BOOKING_DEFAULT_TIME_ZONE": ("Vienna", "Europe/Wien", ""),
    "BOOKING_DEFAULT_LANGUAGE": ("xx", "de-AT", ""),
    "BOOKING_REPLY_AUTHSERV": ("mx example org", "mx\nx"),
    "BOOKING_REPLY_UNAUTHENTICATED": ("yes", "true", ""),
    "BOOKING_PUBLIC_URL": ("booking.example.org", "ftp://x", "https://x?y=1", "https://x:0"),
    "BOOKING_LINK_SECRET": ("short",),
    "BOOKING_LINK_SECRET_PREVIOUS": ("short",),
    "BOOKING_REMINDER_OFFSETS": ("1h,60m", "1h,0", "1h,soon", "-1h", "40000d"),
    "BOOKING_EVENT_SOURCE": ("", "a b"),
    "BOOKING_EVENT_TYPE_PREFIX": ("", "a b"),
    "BOOKING_EVENT_STREAM": ("booking", "sweep", "a b"),
    "BOOKING_EVENT_TASK": ("a b",),
    "BOOKING_EVENT_QUEUE": ("booking", "a b"),
    "BOOKING_RETAIN_REQUESTS": ("29d",),
    "BOOKING_RETAIN_CREDITS": ("29d",),
}


def _by_type(field: str) -> tuple[str, ...]:
    """Values that no setting of this type accepts."""
    annotation, known = Settings.model_fields[field].annotation, Settings.model_fields[field]
    if annotation is bool:
        return ("perhaps", "2", "")
    if annotation is int:
        return ("many", "1.5", "-1", "", "9" * 30)
    if annotation is timedelta:
        zero = () if "Ge(ge=datetime.timedelta(0))" in str(known.metadata) else ("0", "0s")
        return ("soon", "-1s", "1 week", "nan", "inf", "", "40000d", "9" * 400, *zero)
    if get_origin(annotation) is Literal:
        return ("nonsense", "")
    return ("no url",) if variable_of(field).endswith("_URL") else ()


def _values() -> Iterator[tuple[str, str]]:
    for field in Settings.model_fields:
        name = variable_of(field)
        for value in dict.fromkeys((*_by_type(field), *IMPOSSIBLE.get(name, ()))):
            yield name, value


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_names() & os.environ.keys():
        monkeypatch.delenv(name)


@pytest.mark.parametrize(("name", "value"), [*_values()], ids=lambda part: repr(part)[:40])
def test_an_impossible_value_is_one_line_that_names_its_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    lines = [line for line in str(caught.value).splitlines() if line.startswith(f"{name}: ")]
    assert len(lines) == 1
    assert SECRET not in str(caught.value)


def test_every_setting_has_an_impossible_value() -> None:
    assert {name for name, _ in _values()} == {variable_of(field) for field in Settings.model_fields}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "rediss://worker:p%40ss@[::1]:6380/15?ssl_cert_reqs=required"),
        ("CELERY_BROKER_URL", "amqps://worker:secret@rabbit:5671/booking"),
        ("CELERY_RESULT_BACKEND", "sentinel://a:26379;sentinel://b:26379"),
        ("BOOKING_MEETING_URL", "http://[::1]:8099/api/"),
        ("BOOKING_MEETING_TOKEN", "abc.def-123=="),
        ("BOOKING_SMTP_HOST", "::1"),
        ("BOOKING_MAIL_ADDRESS", "ann+booking@localhost"),
        ("BOOKING_MAIL_NAME", "Sprechstunde für Mathe"),
        ("BOOKING_UID_DOMAIN", "xn--bcher-kva.example"),
        ("BOOKING_CALENDAR_PRIVATE_HOSTS", "cal.example.org, 10.0.0.7, ::1"),
        ("BOOKING_REMINDER_OFFSETS", ""),
        ("BOOKING_ABSENCE_GRACE", "0"),
        ("BOOKING_RETAIN_EVENTS", "36525d"),
        ("BOOKING_RETAIN_REQUESTS", "30d"),
    ],
)
def test_a_possible_value_is_accepted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    load_settings()


def _may_be_left_out() -> list[str]:
    return [field for field, one in Settings.model_fields.items() if type(None) in get_args(one.annotation)]


@pytest.mark.parametrize("field", [*_may_be_left_out(), "event_stream"])
def test_what_may_be_left_out_may_be_empty(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable_of(field), "")
    assert getattr(load_settings(), field) is None


def test_user_and_password_of_the_mail_server_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKING_SMTP_USER", "ann")
    with pytest.raises(SettingsError, match="BOOKING_SMTP_PASSWORD: is needed with BOOKING_SMTP_USER"):
        load_settings()
    monkeypatch.setenv("BOOKING_SMTP_PASSWORD", SECRET)
    assert load_settings().smtp_user == "ann"


def test_the_languages_are_those_of_the_mails() -> None:
    assert get_args(Settings.model_fields["default_language"].annotation) == get_args(Language)


@pytest.mark.parametrize("field", ["database_url", "smtp_password", "event_stream"])
def test_a_file_that_is_empty_missing_or_no_text_is_refused(
    field: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = f"{variable_of(field)}_FILE"
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text(" \n")
    binary.write_bytes(b"\xff\xfe")
    for path, fault in (
        ("", "is empty"),
        (" ", "is empty"),
        (empty, "is empty"),
        (binary, "is not text"),
        (tmp_path / "missing", "cannot read"),
        (tmp_path, "cannot read"),
    ):
        monkeypatch.setenv(name, str(path))
        with pytest.raises(SettingsError, match=f"^{name}: .*{fault}"):
            load_settings()


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("BOOKING_SMPT_HOST", "BOOKING_SMTP_HOST"),
        ("BOOKING_LEASES", "BOOKING_LEASE"),
        ("BOOKING_LEAS", "BOOKING_LEASE"),
        ("BOOKING_RETAIN_EVENT", "BOOKING_RETAIN_EVENTS"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABASE_URL_FIL", "DATABASE_URL_FILE"),
        ("REDIS_URLS", "REDIS_URL"),
        ("BOOKING_LINK_SECRETFILE", "BOOKING_LINK_SECRET_FILE"),
    ],
)
def test_a_misspelt_name_is_refused(name: str, right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=f"^{name}: is no setting; did you mean {right}\\?$"):
        load_settings()


@pytest.mark.parametrize(
    "name", ["BOOKING_SETTING_OF_A_NEWER_RELEASE", "REDIS_PORT", "REDIS_SERVICE_HOST", "DATABASE_NAME"]
)
def test_another_unknown_name_does_not_refuse_a_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    load_settings()
    assert name in unknown_settings()


def test_names_without_a_prefix_of_the_service_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_HOST", "mail")
    assert "SMTP_HOST" not in unknown_settings()


@pytest.mark.parametrize(
    ("one", "other", "count"), [("a", "a", 0), ("ab", "ba", 2), ("abc", "bcd", 2), ("", "xy", 2)]
)
def test_edits_are_insertions_removals_and_replacements(one: str, other: str, count: int) -> None:
    assert edits(one, other) == edits(other, one) == count


def test_a_new_setting_is_named_so_that_the_release_before_still_starts() -> None:
    """The release before would refuse a name within two letters of one that it knows."""
    names = [variable_of(field) for field in Settings.model_fields]
    pairs = itertools.combinations(names, 2)
    assert [pair for pair in pairs if edits(*pair) <= 2] == [("BOOKING_SMTP_HOST", "BOOKING_SMTP_PORT")]
    assert meant("BOOKING_SMTP_HOSTS", known_names()) == "BOOKING_SMTP_HOST"
