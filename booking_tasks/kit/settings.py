"""Every setting with its type, read from the environment once per process.

Connections have their usual names (`DATABASE_URL`, `REDIS_URL`, `CELERY_BROKER_URL`,
`CELERY_RESULT_BACKEND`); everything else is `BOOKING_*`. Instead of any variable, `<NAME>_FILE` may be set to
the path of a file that contains the value, for secrets that are mounted as files.

Durations are `timedelta`: `90` (seconds), `10m`, `24h`, `2d` or ISO 8601 (`PT10M`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from booking_tasks.context import Policies, Weights
from booking_tasks.kit.broker_urls import is_amqp
from booking_tasks.kit.database_urls import checked_database_url
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.setting_names import meant, unknown_names
from booking_tasks.kit.setting_values import (
    BrokerUrl,
    Domain,
    Duration,
    DurationOrNone,
    Durations,
    FilePath,
    Host,
    Hosts,
    Line,
    MailAddress,
    NoneWhenEmpty,
    RedisUrl,
    SecretToken,
    Token,
    WebAddress,
    WeightsSetting,
)
from booking_tasks.kit.signed_links import Links
from booking_tasks.kit.time_zones import zone

_SHORTEST_SECRET = 32
_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT = timedelta(milliseconds=10), timedelta(days=1)


class _SecretFiles(PydanticBaseSettingsSource):
    """The settings source of `<NAME>_FILE`; setting a variable and its file together is an error."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        name = variable_of(field_name)
        path = os.environ.get(f"{name}_FILE")
        if path is None:
            return None, field_name, False
        if name in os.environ:
            raise SettingsError(f"{name}: set both directly and by {name}_FILE; remove one of them")
        if not path.strip():
            raise SettingsError(f"{name}_FILE: is empty: name the file, or unset it")
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise SettingsError(f"{name}_FILE: {path} is not text in UTF-8: write it again") from None
        if not text:
            raise SettingsError(
                f"{name}_FILE: {path} is empty: write the value into it, or unset {name}_FILE"
            )
        return text, field_name, False

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
    database_direct_url: Annotated[str | None, NoneWhenEmpty] = Field(
        None, validation_alias=AliasChoices("DATABASE_DIRECT_URL")
    )
    redis_url: RedisUrl = Field("redis://localhost:6379/0", validation_alias=AliasChoices("REDIS_URL"))
    broker_url: Annotated[BrokerUrl | None, NoneWhenEmpty] = Field(
        None, validation_alias=AliasChoices("CELERY_BROKER_URL")
    )
    result_backend: Annotated[BrokerUrl | None, NoneWhenEmpty] = Field(
        None, validation_alias=AliasChoices("CELERY_RESULT_BACKEND")
    )
    database_pool_size: int = Field(5, ge=2, le=100)  # a sweep's lock has a connection of its own
    # Zero milliseconds would mean no time-out to PostgreSQL.
    statement_timeout: Duration = Field(timedelta(seconds=30), ge=_SHORTEST_TIMEOUT, le=_LONGEST_TIMEOUT)
    lock_timeout: Duration = Field(timedelta(seconds=10), ge=_SHORTEST_TIMEOUT, le=_LONGEST_TIMEOUT)

    # -- clock, jobs and messages --------------------------------------------------------
    clock: Literal["database", "stepped"] = "database"
    sweep_interval: Duration = timedelta(seconds=10)
    # Longer than the clocks of two hosts may differ: Celery compares the sender's with the receiver's.
    wakeup_ttl: Duration = timedelta(hours=2)
    lease: Duration = timedelta(seconds=60)
    job_batch: int = Field(25, ge=1, le=500)
    job_attempts: int = Field(8, ge=1, le=50)
    outage_retry_window: Duration = timedelta(days=5)
    retry_base: Duration = timedelta(seconds=5)
    retry_cap: Duration = Field(timedelta(minutes=10), validate_default=True)
    message_attempts: int = Field(3, ge=1, le=20)
    result_expiry: Duration = Field(timedelta(minutes=10), ge=timedelta(seconds=1))
    heartbeat_file: FilePath = Path("/tmp/booking-tasks-heartbeat")  # noqa: S108 - a marker, no secret
    remote_control: bool = False

    # -- requests and assignment ---------------------------------------------------------------
    assignment_deadline: Duration = timedelta(hours=48)
    assignment_batch_time: Duration = Field(timedelta(seconds=10), le=timedelta(minutes=2))
    confirmation_deadline: Duration = timedelta(hours=24)
    offer_time: Duration = timedelta(minutes=30)
    horizon: Duration = Field(timedelta(days=90), le=timedelta(days=1830))
    assignment_weights: WeightsSetting = Weights()
    assignment_no_show: Literal["returns", "counts"] = "returns"

    # -- absence -----------------------------------------------------------------------------------
    absence_grace: DurationOrNone = timedelta(minutes=5)
    absence_answer: Duration = timedelta(hours=24)

    # -- outside calendars -----------------------------------------------------------------------
    calendar_interval: Duration = timedelta(minutes=15)
    calendar_timeout: Duration = Field(timedelta(seconds=20), le=timedelta(minutes=2))
    calendar_max_bytes: int = Field(10_000_000, ge=1000, le=100_000_000)
    calendar_private_hosts: Hosts = ()
    calendar_tentative_busy: bool = True
    calendar_stale_after: Duration = timedelta(hours=24)
    calendar_outage: Literal["open", "closed"] = "open"
    calendar_unreadable: Literal["open", "closed"] = "open"

    # -- meetings --------------------------------------------------------------------------------
    meeting_url: WebAddress = "http://127.0.0.1:8099"
    meeting_token: Annotated[SecretToken | None, NoneWhenEmpty] = None
    meeting_timeout: Duration = Field(timedelta(seconds=10), validate_default=True)
    link_alert: Duration = timedelta(minutes=15)

    # -- mail --------------------------------------------------------------------------------------
    smtp_host: Host = "127.0.0.1"
    smtp_port: int = Field(25, ge=1, le=65535)
    smtp_user: Annotated[Line | None, NoneWhenEmpty] = None
    smtp_password: Annotated[SecretStr | None, NoneWhenEmpty] = Field(None, validate_default=True)
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_timeout: Duration = Field(timedelta(seconds=10), validate_default=True)
    mail_address: MailAddress = "booking@example.org"
    mail_name: Line = "Consultations"
    uid_domain: Domain = "booking.example.org"
    default_time_zone: str = "UTC"
    default_language: Literal["en", "de"] = "en"

    # -- answers by mail and by link -----------------------------------------------------------------
    calendar_replies: bool = True
    reply_authserv: Annotated[Token | None, NoneWhenEmpty] = None
    reply_unauthenticated: Literal["refuse", "accept"] = "refuse"
    public_url: Annotated[WebAddress | None, NoneWhenEmpty] = None
    link_secret: SecretStr | None = Field(None, validate_default=True)
    link_secret_previous: SecretStr | None = None

    # -- reminders and attendance ------------------------------------------------------------------
    reminder_offsets: Durations = (timedelta(hours=24), timedelta(hours=1))
    attendance_grace: Duration = timedelta(minutes=10)
    attendance_minimum: Duration = timedelta(minutes=1)
    verdict_delay: Duration = timedelta(minutes=15)

    # -- events --------------------------------------------------------------------------------------
    event_source: Token = "/booking-tasks"
    event_type_prefix: Token = "booking"
    event_stream: Annotated[Token | None, NoneWhenEmpty] = "booking:events"
    event_stream_length: int = Field(100_000, ge=1, le=1_000_000_000)
    event_task: Annotated[Token | None, NoneWhenEmpty] = None
    event_queue: Annotated[Token | None, NoneWhenEmpty] = Field(None, validate_default=True)

    # -- retention -------------------------------------------------------------------------------------
    retain_jobs: Duration = timedelta(days=90)
    retain_inbox: Duration = timedelta(days=30)
    retain_events: Duration = timedelta(days=730)
    retain_evidence: Duration = timedelta(days=180)
    retain_dead_letters: Duration = timedelta(days=30)
    retain_details: Duration = timedelta(days=365)
    retain_requests: Duration = Field(timedelta(days=1095), validate_default=True)
    retain_people: Duration = timedelta(days=1095)
    retain_decisions: Duration = timedelta(days=365)
    retain_credits: Duration = Field(timedelta(days=730), ge=timedelta(days=30))
    retain_hours: Duration = timedelta(days=90)

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _database_address(cls, value: str | None) -> str | None:
        return None if value is None else checked_database_url(value)

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
    def _different_offsets(cls, value: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if len(set(value)) != len(value):
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

    @field_validator("retry_cap")
    @classmethod
    def _not_below_the_base(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        base: timedelta | None = info.data.get("retry_base")
        if base is not None and value < base:
            raise ValueError("must not be below BOOKING_RETRY_BASE: raise it, or lower that")
        return value

    @field_validator("retain_requests")
    @classmethod
    def _not_below_the_inbox(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        inbox: timedelta | None = info.data.get("retain_inbox")
        if inbox is not None and value < inbox:
            raise ValueError("must not be below BOOKING_RETAIN_INBOX: raise it, or lower that")
        return value

    @field_validator("smtp_password")
    @classmethod
    def _with_the_user(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        user = info.data.get("smtp_user")
        if user and value is None:
            raise ValueError("is needed with BOOKING_SMTP_USER: set it, or unset that")
        if value is not None and user is None and "smtp_user" in info.data:
            raise ValueError("is set without BOOKING_SMTP_USER: set that, or unset this")
        return value

    @field_validator("event_stream", "event_queue")
    @classmethod
    def _not_a_queue_of_the_service(cls, value: str | None) -> str | None:
        if value is None:
            return None
        from booking_tasks.kit.queues import QUEUES  # noqa: PLC0415 - it imports kombu

        if value in QUEUES:
            raise ValueError("names a queue of this service: choose another name")
        return value

    @field_validator("link_secret")
    @classmethod
    def _secret_for_the_links(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        secret = value.get_secret_value() if value else ""
        if not secret and info.data.get("public_url"):
            raise ValueError("is needed with BOOKING_PUBLIC_URL: it signs the links; make secrets makes one")
        if secret and len(secret) < _SHORTEST_SECRET:
            raise ValueError(f"must have at least {_SHORTEST_SECRET} characters; make secrets makes one")
        return value if secret else None

    @field_validator("link_secret_previous")
    @classmethod
    def _secret_of_older_links(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        secret = value.get_secret_value() if value else ""
        if not secret:
            return None
        if len(secret) < _SHORTEST_SECRET:
            raise ValueError(f"must have at least {_SHORTEST_SECRET} characters: the secret before")
        if (current := info.data.get("link_secret")) and current.get_secret_value() == secret:
            raise ValueError("is the same as BOOKING_LINK_SECRET; set what that was before, or leave it out")
        return value

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
        previous = self.link_secret_previous
        return Links(
            self.public_url,
            self.link_secret.get_secret_value(),
            None if previous is None else previous.get_secret_value(),
        )

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


def known_names() -> frozenset[str]:
    """Return the names of all variables that this release reads, also as files."""
    names = [variable_of(field) for field in Settings.model_fields]
    return frozenset([*names, *(f"{name}_FILE" for name in names)])


def unknown_settings() -> list[str]:
    """Return variables that look like settings and are none of this release: a newer one may know them."""
    known = known_names()
    return [name for name in unknown_names(os.environ, known) if meant(name, known) is None]


def _refuse_misspelt_names() -> None:
    known = known_names()
    nearest = {name: meant(name, known) for name in unknown_names(os.environ, known)}
    lines = [f"{name}: is no setting; did you mean {one}?" for name, one in nearest.items() if one]
    if lines:
        raise SettingsError("\n".join(lines))


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the environment. Raises SettingsError with one line for each wrong variable."""
    _refuse_misspelt_names()
    try:
        return Settings(**dict(overrides or {}))
    except ValidationError as error:
        _explain(error)


@cache
def settings() -> Settings:
    """Return the settings of this process, which are read once."""
    return load_settings()
