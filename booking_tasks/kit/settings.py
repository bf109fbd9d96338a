"""Every setting with its type, read from the environment once per process.

Connections have their usual names (`DATABASE_URL`, `REDIS_URL`, `CELERY_BROKER_URL`,
`CELERY_RESULT_BACKEND`); everything else is `BOOKING_*`. Instead of any variable, `<NAME>_FILE` may be set to
the path of a file that contains the value, for secrets that are mounted as files.

Durations are `timedelta`: `90` (seconds), `10m`, `24h`, `2d` or ISO 8601 (`PT10M`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from booking_tasks.context import Policies, Weights
from booking_tasks.kit.broker_urls import is_amqp
from booking_tasks.kit.database_urls import checked_database_url
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.signed_links import Links
from booking_tasks.kit.time_zones import zone

_SHORT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|)\s*$")
_SHORTEST_SECRET = 32
_UNIT = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(value: object) -> object:
    if isinstance(value, str) and (short := _SHORT.match(value)):
        return timedelta(**{_UNIT[short[2]]: float(short[1])})
    return value


def _durations(value: object) -> object:
    if isinstance(value, str):
        return tuple(_duration(part) for part in value.split(",") if part.strip())
    return value


def _texts(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _weights(value: object) -> object:
    """Read weights such as `fairness=20, earliest=5`; terms that are not named keep their defaults."""
    if not isinstance(value, str):
        return value
    changes: dict[str, float] = {}
    for part in filter(None, map(str.strip, value.split(","))):
        term, separator, weight = (one.strip() for one in part.partition("="))
        try:
            number = float(weight)
        except ValueError:
            number = None
        if not separator or number is None:
            raise ValueError("must be terms with their weights, such as fairness=20,earliest=5")
        if term in changes:
            raise ValueError(f"names {term} twice")
        changes[term] = number
    weights = Weights().with_changes(changes)
    if weights.problem is not None:
        raise ValueError(weights.problem)
    return weights


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0))]
DurationOrNone = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(0))]
Durations = Annotated[tuple[timedelta, ...], NoDecode, BeforeValidator(_durations)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_texts)]
WeightsSetting = Annotated[Weights, NoDecode, BeforeValidator(_weights)]


class _SecretFiles(PydanticBaseSettingsSource):
    """The settings source of `<NAME>_FILE`; setting a variable and its file together is an error."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        name = variable_of(field_name)
        path = os.environ.get(f"{name}_FILE")
        if path is None:
            return None, field_name, False
        if name in os.environ:
            raise SettingsError(f"{name}: set both directly and by {name}_FILE; remove one of them")
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except OSError as error:
            raise SettingsError(f"{name}_FILE: cannot read {path}: {error.strerror}") from error

    def __call__(self) -> dict[str, Any]:
        found = {name: self.get_field_value(None, name)[0] for name in self.settings_cls.model_fields}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """The settings of one deployment. The types contain the units; the README has the table."""

    model_config = SettingsConfigDict(
        env_prefix="BOOKING_", extra="ignore", frozen=True, populate_by_name=True
    )

    # -- connections ---------------------------------------------------------------------------
    database_url: str = Field(
        "postgresql://localhost/booking_tasks", validation_alias=AliasChoices("DATABASE_URL")
    )
    redis_url: str = Field("redis://localhost:6379/0", validation_alias=AliasChoices("REDIS_URL"))
    broker_url: str | None = Field(None, validation_alias=AliasChoices("CELERY_BROKER_URL"))
    result_backend: str | None = Field(None, validation_alias=AliasChoices("CELERY_RESULT_BACKEND"))
    database_pool_size: int = Field(5, ge=1, le=100)
    statement_timeout: Duration = timedelta(seconds=30)
    lock_timeout: Duration = timedelta(seconds=10)

    # -- clock, jobs and messages --------------------------------------------------------
    clock: Literal["database", "stepped"] = "database"
    sweep_interval: Duration = timedelta(seconds=10)
    # Longer than the clocks of two hosts may differ: Celery compares the sender's with the receiver's.
    wakeup_ttl: Duration = timedelta(hours=2)
    lease: Duration = timedelta(seconds=60)
    job_batch: int = Field(25, ge=1, le=500)
    job_attempts: int = Field(8, ge=1, le=50)
    outage_retry_window: Duration = timedelta(days=1)
    retry_base: Duration = timedelta(seconds=5)
    retry_cap: Duration = timedelta(hours=1)
    message_attempts: int = Field(3, ge=1, le=20)
    result_expiry: Duration = timedelta(minutes=10)
    heartbeat_file: Path = Path("/tmp/booking-tasks-heartbeat")  # noqa: S108 - a marker, no content
    remote_control: bool = False

    # -- requests and assignment ---------------------------------------------------------------
    assignment_deadline: Duration = timedelta(hours=48)
    assignment_batch_time: Duration = Field(timedelta(seconds=10), le=timedelta(minutes=2))
    confirmation_deadline: Duration = timedelta(hours=24)
    offer_time: Duration = timedelta(minutes=30)
    horizon: Duration = timedelta(days=90)
    assignment_weights: WeightsSetting = Weights()
    assignment_no_show: Literal["returns", "counts"] = "returns"

    # -- absence -----------------------------------------------------------------------------------
    absence_grace: DurationOrNone = timedelta(minutes=5)
    absence_answer: Duration = timedelta(hours=24)

    # -- outside calendars -----------------------------------------------------------------------
    calendar_interval: Duration = timedelta(minutes=15)
    calendar_timeout: Duration = Field(timedelta(seconds=20), le=timedelta(minutes=2))
    calendar_max_bytes: int = Field(10_000_000, ge=1000, le=100_000_000)
    calendar_private_hosts: Texts = ()
    calendar_tentative_busy: bool = True
    calendar_stale_after: Duration = timedelta(hours=24)
    calendar_outage: Literal["open", "closed"] = "open"

    # -- meetings --------------------------------------------------------------------------------
    meeting_url: str = "http://127.0.0.1:8099"
    meeting_token: SecretStr | None = None
    meeting_timeout: Duration = Field(timedelta(seconds=10), validate_default=True)

    # -- mail --------------------------------------------------------------------------------------
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(25, ge=1, le=65535)
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_timeout: Duration = Field(timedelta(seconds=10), validate_default=True)
    mail_address: str = "booking@example.org"
    mail_name: str = "Consultations"
    uid_domain: str = "booking.example.org"
    default_time_zone: str = "UTC"
    default_language: str = "en"

    # -- answers by mail and by link -----------------------------------------------------------------
    calendar_replies: bool = True
    reply_authserv: str | None = None
    public_url: str | None = None
    link_secret: SecretStr | None = Field(None, validate_default=True)

    # -- reminders and attendance ------------------------------------------------------------------
    reminder_offsets: Durations = (timedelta(hours=24), timedelta(hours=1))
    attendance_grace: Duration = timedelta(minutes=10)
    attendance_minimum: Duration = timedelta(minutes=1)
    verdict_delay: Duration = timedelta(minutes=15)

    # -- events --------------------------------------------------------------------------------------
    event_source: str = "/booking-tasks"
    event_type_prefix: str = "booking"
    event_stream: str | None = "booking:events"
    event_stream_length: int = Field(100_000, ge=1)
    event_task: str | None = None
    event_queue: str | None = Field(None, validate_default=True)

    # -- retention -------------------------------------------------------------------------------------
    retain_jobs: Duration = timedelta(days=90)
    retain_inbox: Duration = timedelta(days=30)
    retain_events: Duration = timedelta(days=730)
    retain_evidence: Duration = timedelta(days=180)
    retain_dead_letters: Duration = timedelta(days=30)

    @field_validator("database_url")
    @classmethod
    def _database_address(cls, value: str) -> str:
        return checked_database_url(value)

    @field_validator("result_backend")
    @classmethod
    def _separated_by_trust(cls, value: str | None) -> str | None:
        if value and value.partition(":")[0] in {"rpc", "amqp", "amqps", "pyamqp"}:
            raise ValueError(
                "rpc:// and amqp:// need RabbitMQ's default exchange, over which a sender could write to"
                " every queue; leave it unset: answers then go over the exchange booking.answers"
            )
        return value or None

    @field_validator("default_time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zone(value)
        except KeyError as error:
            raise ValueError("is not an IANA time zone; write it like Europe/Vienna") from error
        return value

    @field_validator("reminder_offsets")
    @classmethod
    def _positive_offsets(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if any(offset <= timedelta(0) for offset in value) or len(set(value)) != len(value):
            raise ValueError("must be different durations above zero, such as 24h,1h")
        return value

    @field_validator("smtp_timeout", "meeting_timeout")
    @classmethod
    def _within_the_lease(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        lease: timedelta | None = info.data.get("lease")  # None: its own value is wrong
        if lease is not None and value >= lease / 2:
            half = lease / timedelta(seconds=2)
            raise ValueError(f"must be below half of BOOKING_LEASE ({half:g} s): lower it, or raise that")
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                "must be the public address of the web pages, such as https://booking.example.org"
            )
        return value.rstrip("/")

    @field_validator("link_secret")
    @classmethod
    def _secret_for_the_links(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        secret = value.get_secret_value() if value else ""
        if not secret and info.data.get("public_url"):
            raise ValueError("is needed with BOOKING_PUBLIC_URL: it signs the links; make secrets makes one")
        if secret and len(secret) < _SHORTEST_SECRET:
            raise ValueError(f"must have at least {_SHORTEST_SECRET} characters; make secrets makes one")
        return value if secret else None

    @field_validator("event_queue")
    @classmethod
    def _queue_for_the_task(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("event_task") and not value:
            raise ValueError("is needed with BOOKING_EVENT_TASK: the queue that task is consumed from")
        return value

    @property
    def policies(self) -> Policies:
        """The part of these settings that use cases may read."""
        return Policies(**{one.name: getattr(self, one.name) for one in fields(Policies)})

    @property
    def links(self) -> Links | None:
        """The maker of signed links, or None when mails contain no links."""
        if self.public_url is None or self.link_secret is None:
            return None
        return Links(self.public_url, self.link_secret.get_secret_value())

    @property
    def broker(self) -> str:
        return self.broker_url or self.redis_url

    @property
    def has_redis(self) -> bool:
        """Whether a Redis belongs to this deployment; with RabbitMQ only where REDIS_URL names one."""
        return not is_amqp(self.broker) or "redis_url" in self.model_fields_set

    @property
    def results(self) -> str | None:
        """Where answers are stored; None on RabbitMQ alone, where each goes to the address of its sender."""
        return self.result_backend or (None if is_amqp(self.broker) else self.redis_url)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _SecretFiles(settings_cls)


def variable_of(field_name: str) -> str:
    """Return the environment variable of a field."""
    alias = Settings.model_fields[field_name].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"BOOKING_{field_name.upper()}"


def _explain(error: ValidationError) -> NoReturn:
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        location = str(problem["loc"][0]) if problem["loc"] else ""
        name = variable_of(location) if location in Settings.model_fields else location.upper()
        lines.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    raise SettingsError("\n".join(lines)) from None


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the environment. Raises SettingsError with one line for each wrong variable."""
    try:
        return Settings(**dict(overrides or {}))
    except ValidationError as error:
        _explain(error)


@cache
def settings() -> Settings:
    """Return the settings of this process, which are read once."""
    return load_settings()
