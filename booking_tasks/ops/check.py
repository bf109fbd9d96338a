"""`booking-tasks check`: whether everything that the service needs is there, with a remedy for what is not.

It changes nothing and needs no answer of the workers. A check that fails with an error is a finding too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from booking_tasks.kit.broker_urls import is_amqp
from booking_tasks.kit.database_urls import libpq_url
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.queues import QUEUES
from booking_tasks.kit.settings import Settings, load_settings, unknown_settings
from booking_tasks.kit.time_zones import tzdata_version
from booking_tasks.ops.database_failures import database_failure
from booking_tasks.ops.findings import Finding, State
from booking_tasks.sql import query_text

#: The time-out of each server's answer, in seconds.
TIMEOUT = 3.0
#: A queue that is longer than this is a warning.
LONG_QUEUE = 1000
#: The greatest accepted difference between the host's clock and the database's.
MAX_SKEW = timedelta(seconds=2)


def findings() -> list[Finding]:
    """Run all checks, the most basic ones first, and return their results."""
    try:
        config = load_settings()
    except SettingsError as error:
        return [
            Finding("settings", State.BROKEN, line, "set it as the table in the README says")
            for line in str(error).splitlines()
        ]
    found = list(_settings())
    for name, run in _CHECKS.items():
        try:
            found += run(config)
        except Exception as error:  # noqa: BLE001 - any error of a check is its finding
            seen, remedy = database_failure(error) or (_first_line(error), _REMEDIES[name])
            found.append(Finding(name, State.BROKEN, seen, remedy))
    return found


def _settings() -> Iterator[Finding]:
    yield Finding("settings", State.OK, "every variable can be read")
    for name in unknown_settings():
        remedy = "correct its name, or unset it; a setting of a newer release does no harm"
        yield Finding("settings", State.WARNING, f"{name} is no setting of this release", remedy)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


# -- the environment -----------------------------------------------------------------------------------

#: Variables that Celery itself reads, and that may override this service's settings (celery.app.utils,
#: celery.bin).
_READ_BY_CELERY = ("APP", "BROKER_URL", "RESULT_BACKEND", "LOADER", "CONFIG_MODULE")
_READ_BY_SETTINGS = {
    f"CELERY_{name}{end}" for name in ("BROKER_URL", "RESULT_BACKEND") for end in ("", "_FILE")
}


def _environment(_: Settings) -> Iterator[Finding]:
    names = sorted(
        name
        for name in os.environ
        if name in _READ_BY_CELERY or (name.startswith("CELERY_") and name not in _READ_BY_SETTINGS)
    )
    for name in names:
        yield Finding(
            "environment", State.WARNING, f"{name} is set, which Celery reads itself", f"unset {name}"
        )
    if not names:
        yield Finding("environment", State.OK, "no variable overrides the settings in Celery")


def _tzdata(_: Settings) -> Iterator[Finding]:
    version = tzdata_version()
    seen = f"{version}, from the tzdata package and not from the system"
    if version[:4].isdecimal() and int(version[:4]) < datetime.now(UTC).year - 1:
        yield Finding(
            "time zones", State.WARNING, seen, "upgrade the tzdata package: zones change their rules"
        )
    else:
        yield Finding("time zones", State.OK, seen)


def _solver(_: Settings) -> Iterator[Finding]:
    from booking_tasks.batch.matching import has_solver

    if has_solver():
        yield Finding("solver", State.OK, "waiting requests are assigned together, by scipy")
    else:
        seen = "scipy is not installed: waiting requests are assigned one by one, the longest waiting first"
        yield Finding("solver", State.WARNING, seen, "install the extra: pip install 'booking-tasks[solver]'")


# -- PostgreSQL ----------------------------------------------------------------------------------------


def _database(config: Settings) -> Iterator[Finding]:
    import psycopg

    from booking_tasks.ops.check_calendars import calendars
    from booking_tasks.ops.check_hours import hours
    from booking_tasks.ops.check_people import addresses
    from booking_tasks.ops.check_roles import roles
    from booking_tasks.ops.check_targets import waiting_work

    url = libpq_url(config.database_url)
    yield from _pooler(config)
    with psycopg.connect(
        url, connect_timeout=int(TIMEOUT), application_name="booking-tasks check", prepare_threshold=None
    ) as db:
        db.execute("SET LOCAL statement_timeout = '10s'")  # all checks are one transaction
        db.execute("SET LOCAL search_path = public, pg_temp")
        yield _version(db.info.server_version)
        yield _extension(db)
        yield from roles(db)
        schema = _schema(db)
        yield schema
        yield from _clock(config, db)
        if schema.state != State.BROKEN:
            yield from _ledgers(db)
            yield from waiting_work(config, db)
            yield from hours(config, db)
            yield from calendars(config, db)
            yield from addresses(config, db)


def _pooler(config: Settings) -> Iterator[Finding]:
    """Report what stands before the database, and the limits of the service's sessions."""
    from booking_tasks.kit.database import database_path
    from booking_tasks.kit.pooler import UnsuitablePoolerError

    try:
        path = database_path(config)
    except UnsuitablePoolerError as error:
        seen, _, remedy = str(error).partition(": ")
        yield Finding("pooler", State.BROKEN, seen, remedy)
    else:
        yield Finding("pooler", State.OK, f"{path.name}; {path.limits}")


def _version(number: int) -> Finding:
    seen = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number < 150_000:
        return Finding("database", State.BROKEN, seen, "use PostgreSQL 15 to 18")
    if number >= 190_000:
        return Finding("database", State.WARNING, seen, "this release was tested on PostgreSQL 15 to 18")
    return Finding("database", State.OK, seen)


def _extension(db: Any) -> Finding:
    row = db.execute(
        "SELECT installed_version FROM pg_available_extensions WHERE name = 'btree_gist'"
    ).fetchone()
    if row is None:
        return Finding(
            "extension", State.BROKEN, "btree_gist is not on the server", "install postgresql-contrib there"
        )
    if row[0] is None:
        return Finding(
            "extension", State.BROKEN, "btree_gist is not in this database", "run booking-tasks migrate"
        )
    return Finding("extension", State.OK, f"btree_gist {row[0]}")


def _schema(db: Any) -> Finding:
    from booking_tasks.ops.migrate import is_development_schema, known_revisions, revision_in

    here, known = revision_in(db), known_revisions()
    if here == known[-1]:
        return Finding("schema", State.OK, f"at {here}, as this release needs")
    if here is None or here in known:
        return Finding(
            "schema",
            State.BROKEN,
            f"at {here or 'nothing'}; this release needs {known[-1]}",
            "run booking-tasks migrate",
        )
    if is_development_schema(here):
        return Finding(
            "schema",
            State.BROKEN,
            f"at {here}, a step from before the first release",
            "make an empty database and run booking-tasks migrate",
        )
    return Finding(
        "schema",
        State.WARNING,
        f"at {here}, of a newer release than this one ({known[-1]})",
        "upgrade this installation",
    )


def _clock(config: Settings, db: Any) -> Iterator[Finding]:
    before = datetime.now(UTC)
    there = db.execute("SELECT clock_timestamp()").fetchone()[0]
    skew = there - before - (datetime.now(UTC) - before) / 2
    side = "ahead of" if skew > timedelta(0) else "behind"
    seen = f"the database is {abs(skew) / timedelta(seconds=1):.3f} s {side} this host"
    if abs(skew) > MAX_SKEW:
        yield Finding("clock", State.WARNING, seen, "synchronise both with NTP; the database's time counts")
    else:
        yield Finding("clock", State.OK, seen)
    if config.clock == "stepped":
        yield Finding(
            "clock",
            State.WARNING,
            "BOOKING_CLOCK=stepped: time only moves when it is stepped",
            "unset it outside demos",
        )


_TO_DECIDE = (
    ("dead letters", "see booking-tasks dead list"),
    ("dead jobs", "see booking-tasks jobs list --state dead"),
    ("uncertain jobs", "see booking-tasks jobs list --state uncertain"),
    ("parked messages", "start workers of the release that knows their tasks"),
)
_LATE = (
    ("jobs overdue by 5 minutes", "start workers for provision, notify and sweep, and a beat"),
    ("leases expired for 5 minutes", "start a beat and a worker for sweep"),
    ("messages unanswered for 5 minutes", "start a beat and a worker for sweep"),
)


def _ledgers(db: Any) -> Iterator[Finding]:
    counts = db.execute(query_text(__package__, "work_to_decide")).fetchone()
    for (what, remedy), count in zip(_TO_DECIDE + _LATE, counts, strict=True):
        if count:
            yield Finding("ledgers", State.WARNING, f"{count} {what}", remedy)
    if not any(counts):
        yield Finding("ledgers", State.OK, "nothing is dead, uncertain or late")


# -- the broker and the result backend -----------------------------------------------------------------


def _broker(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops import brokers

    shown = brokers.without_password(config.broker)
    lengths = brokers.queue_lengths(config.broker, TIMEOUT)
    yield Finding("broker", State.OK, f"{shown} answers")
    yield from _protection("broker", config.broker)
    if missing := [name for name in QUEUES if name not in lengths]:
        seen = f"the broker has no queue {', '.join(missing)} yet"
        yield Finding(
            "queues",
            State.WARNING,
            seen,
            "load RabbitMQ's definitions, or start a worker, which declares them",
        )
        return
    seen = ", ".join(f"{name} {length}" for name, length in lengths.items())
    if max(lengths.values(), default=0) > LONG_QUEUE:
        yield Finding("queues", State.WARNING, seen, "start more workers for the longest")
    else:
        yield Finding("queues", State.OK, seen)


def _protection(name: str, url: str) -> Iterator[Finding]:
    """Check that a server needs a password and does not evict keys."""
    from booking_tasks.ops import brokers

    if brokers.is_open(url, TIMEOUT):
        shown = brokers.without_password(url)
        yield Finding(
            name,
            State.WARNING,
            f"{shown} needs no password",
            "start it with an ACL file that disables the default user",
        )
    if is_amqp(url):
        from booking_tasks.ops.check_accounts import rabbitmq_accounts

        yield from rabbitmq_accounts(url, TIMEOUT)
    if not brokers.is_redis(url):
        return
    policy, remedy = brokers.eviction(url, TIMEOUT), "set maxmemory-policy noeviction"
    if policy is None:
        seen = "this account may not read whether it drops keys when it is full"
        yield Finding(name, State.OK, seen, "see INFO memory as operator; " + remedy)
    elif policy != "noeviction":
        yield Finding(name, State.WARNING, f"it drops keys when it is full ({policy})", remedy)


def _results(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops import brokers

    if config.results is None or config.results == config.broker:
        return
    shown = brokers.without_password(config.results)
    brokers.ping(config.results, TIMEOUT)
    yield Finding("results", State.OK, f"{shown} answers")
    if brokers.is_redis(config.results):
        yield from _protection("results", config.results)


# -- the targets of effects ------------------------------------------------------------------------------


def _mail(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops.check_targets import mail

    yield mail(config, TIMEOUT)


def _meetings(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops.check_targets import meetings

    yield meetings(config, TIMEOUT)


def _answers(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops.check_answers import answers

    yield from answers(config, TIMEOUT)


_CHECKS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "environment": _environment,
    "time zones": _tzdata,
    "solver": _solver,
    "database": _database,
    "broker": _broker,
    "results": _results,
    "mail": _mail,
    "meetings": _meetings,
    "answers": _answers,
}
_REMEDIES = {
    "environment": "report this",
    "time zones": "install the package tzdata",
    "solver": "install the extra solver again",
    "database": "start PostgreSQL, or correct DATABASE_URL",
    "broker": "start the broker, or correct CELERY_BROKER_URL or REDIS_URL",
    "results": "start it, or correct CELERY_RESULT_BACKEND",
    "mail": "correct the BOOKING_SMTP_* settings",
    "meetings": "correct BOOKING_MEETING_URL",
    "answers": "correct BOOKING_PUBLIC_URL",
}
