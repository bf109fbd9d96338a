"""`booking-tasks check`: is everything there that the service needs, and what mends what is not.

Nothing is changed, and nothing is asked of the workers. A check that cannot be made is a finding too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.settings import Settings, load_settings
from booking_tasks.kit.time_zones import tzdata_version

State = Literal["ok", "warning", "broken"]

#: How long any one of the others may take to answer, in seconds.
PATIENCE = 3.0
#: Messages or due jobs beyond which somebody should look.
MANY = 1000
#: How far the host's clock may be from the database's.
SKEW = timedelta(seconds=2)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `mend` says what to do about it; empty when all is well."""

    check: str
    state: State
    seen: str
    mend: str = ""

    @property
    def line(self) -> str:
        tail = f" -> {self.mend}" if self.mend else ""
        return f"{self.state:<8} {self.check:<12} {self.seen}{tail}"

    @property
    def record(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def findings() -> list[Finding]:
    """Everything that was looked at, most basic things first."""
    try:
        config = load_settings()
    except SettingsError as error:
        return [
            Finding("settings", "broken", line, "set it as the table in the README says")
            for line in str(error).splitlines()
        ]
    found = [Finding("settings", "ok", "every variable can be read")]
    for name, look in _CHECKS.items():
        try:
            found += look(config)
        except Exception as error:  # noqa: BLE001 - whatever a check meets is its finding
            found.append(Finding(name, "broken", _first_line(error), _MENDS[name]))
    return found


def _first_line(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


# -- the environment -----------------------------------------------------------------------------------

#: Read by Celery itself, beside or above what this service tells it (celery.app.utils, celery.bin).
_CELERYS = ("APP", "BROKER_URL", "RESULT_BACKEND", "LOADER", "CONFIG_MODULE")
_OURS = {f"CELERY_{name}{end}" for name in ("BROKER_URL", "RESULT_BACKEND") for end in ("", "_FILE")}


def _environment(_: Settings) -> Iterator[Finding]:
    names = sorted(
        name for name in os.environ if name in _CELERYS or (name.startswith("CELERY_") and name not in _OURS)
    )
    for name in names:
        yield Finding(
            "environment", "warning", f"{name} is set, which Celery obeys by itself", f"unset {name}"
        )
    if not names:
        yield Finding("environment", "ok", "nothing that Celery would obey beside the settings")


def _tzdata(_: Settings) -> Iterator[Finding]:
    version = tzdata_version()
    seen = f"the tzdata package's {version}, whatever the system has"
    if version[:4].isdecimal() and int(version[:4]) < datetime.now(UTC).year - 1:
        yield Finding("time zones", "warning", seen, "upgrade the tzdata package: zones change their rules")
    else:
        yield Finding("time zones", "ok", seen)


def _solver(_: Settings) -> Iterator[Finding]:
    from booking_tasks.batch.matching import has_solver

    if has_solver():
        yield Finding("solver", "ok", "what waits is assigned together, by scipy")
    else:
        seen = "scipy is not installed: what waits is served one by one, the longest first"
        yield Finding("solver", "warning", seen, "install the extra: pip install 'booking-tasks[solver]'")


# -- PostgreSQL ----------------------------------------------------------------------------------------


def _database(config: Settings) -> Iterator[Finding]:
    import psycopg

    from booking_tasks.ops.check_calendars import calendars

    url = config.database_url.replace("+psycopg", "", 1)
    with psycopg.connect(url, connect_timeout=int(PATIENCE), application_name="booking-tasks check") as db:
        db.execute("SET statement_timeout = '10s'")
        db.execute("SET search_path = public, pg_temp")
        yield _version(db.info.server_version)
        yield _extension(db)
        schema = _schema(db)
        yield schema
        yield from _clock(config, db)
        if schema.state != "broken":
            yield from _ledgers(db)
            yield _projections(db)
            yield from (Finding("calendars", *said) for said in calendars(config, db))


def _version(number: int) -> Finding:
    seen = f"PostgreSQL {number // 10_000}.{number % 10_000}"
    if number < 150_000:
        return Finding("database", "broken", seen, "use PostgreSQL 15 to 18")
    if number >= 190_000:
        return Finding("database", "warning", seen, "this release was tested on PostgreSQL 15 to 18")
    return Finding("database", "ok", seen)


def _extension(db: Any) -> Finding:
    row = db.execute(
        "SELECT installed_version FROM pg_available_extensions WHERE name = 'btree_gist'"
    ).fetchone()
    if row is None:
        return Finding(
            "extension", "broken", "btree_gist is not on the server", "install postgresql-contrib there"
        )
    if row[0] is None:
        return Finding(
            "extension", "broken", "btree_gist is not in this database", "run booking-tasks migrate"
        )
    return Finding("extension", "ok", f"btree_gist {row[0]}")


def _schema(db: Any) -> Finding:
    from booking_tasks.ops.migrate import is_development_schema, known_revisions, revision_in

    here, known = revision_in(db), known_revisions()
    if here == known[-1]:
        return Finding("schema", "ok", f"at {here}, which this release is for")
    if here is None or here in known:
        return Finding(
            "schema",
            "broken",
            f"at {here or 'nothing'}; this release needs {known[-1]}",
            "run booking-tasks migrate",
        )
    if is_development_schema(here):
        return Finding(
            "schema",
            "broken",
            f"at {here}, a step from before the first release",
            "make an empty database and run booking-tasks migrate",
        )
    return Finding(
        "schema",
        "warning",
        f"at {here}, made by a newer release than this ({known[-1]})",
        "upgrade what runs here",
    )


def _clock(config: Settings, db: Any) -> Iterator[Finding]:
    before = datetime.now(UTC)
    there = db.execute("SELECT clock_timestamp()").fetchone()[0]
    skew = there - before - (datetime.now(UTC) - before) / 2
    side = "ahead of" if skew > timedelta(0) else "behind"
    seen = f"the database is {abs(skew) / timedelta(seconds=1):.3f} s {side} this host"
    if abs(skew) > SKEW:
        yield Finding("clock", "warning", seen, "synchronise both with NTP; the database's time counts")
    else:
        yield Finding("clock", "ok", seen)
    if config.clock == "stepped":
        yield Finding(
            "clock",
            "warning",
            "BOOKING_CLOCK=stepped: time stands still until it is stepped",
            "unset it outside demos",
        )


_COUNTS = """
    WITH late AS (SELECT clock_timestamp() - interval '5 minutes' AS before)
    SELECT (SELECT count(*) FROM dead_letters),
           (SELECT count(*) FROM jobs WHERE state = 'dead'),
           (SELECT count(*) FROM jobs WHERE state = 'uncertain'),
           (SELECT count(*) FROM parked_messages),
           (SELECT count(*) FROM jobs, late WHERE state = 'waiting' AND due_at < before
               AND coalesce(retry_at, due_at) < before),
           (SELECT count(*) FROM jobs, late WHERE state IN ('leased', 'sending') AND lease_until < before),
           (SELECT count(*) FROM inbox, late WHERE state = 'received' AND attempted_at < before)
"""
_WAITS_FOR_A_PERSON = (
    ("dead letters", "booking-tasks dead list"),
    ("dead jobs", "booking-tasks jobs list --state dead"),
    ("uncertain jobs", "booking-tasks jobs list --state uncertain"),
    ("parked messages", "start workers of the release that knows their tasks"),
)
_LATE = (
    ("jobs overdue by 5 minutes", "start workers for provision, notify and sweep, and a beat"),
    ("leases 5 minutes over", "start a beat and a worker for sweep"),
    ("messages unanswered for 5 minutes", "start a beat and a worker for sweep"),
)


def _ledgers(db: Any) -> Iterator[Finding]:
    counts = db.execute(_COUNTS).fetchone()
    for (what, mend), count in zip(_WAITS_FOR_A_PERSON + _LATE, counts, strict=True):
        if count:
            yield Finding(
                "ledgers", "warning", f"{count} {what}", f"look: {mend}" if "list" in mend else mend
            )
    if not any(counts):
        yield Finding("ledgers", "ok", "nothing is dead, uncertain or late")


def _projections(db: Any) -> Finding:
    """Which time zones the consultants' windows were made with."""
    rows = db.execute(
        "SELECT tzdata_version, count(*) FROM availability_projections GROUP BY 1 ORDER BY 1 DESC"
    ).fetchall()
    made = ", ".join(f"{count} with {version}" for version, count in rows) or "none yet"
    seen = f"consultants' hours projected: {made}"
    if any(version < tzdata_version() for version, _ in rows):
        mend = "start a beat and a worker for sweep; they make the old ones anew"
        return Finding("hours", "warning", seen, mend)
    if any(version > tzdata_version() for version, _ in rows):
        return Finding("hours", "warning", seen, "upgrade what runs here: others have newer time zones")
    return Finding("hours", "ok", seen)


# -- the broker and the result backend -----------------------------------------------------------------


def _broker(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops import brokers

    shown = brokers.without_password(config.broker)
    lengths = brokers.queue_lengths(config.broker, PATIENCE)
    yield Finding("broker", "ok", f"{shown} answers")
    yield from _keeping("broker", config.broker)
    seen = ", ".join(f"{name} {length}" for name, length in lengths.items())
    if max(lengths.values(), default=0) > MANY:
        yield Finding("queues", "warning", seen, "start more workers for the longest")
    else:
        yield Finding("queues", "ok", seen)


def _keeping(name: str, url: str) -> Iterator[Finding]:
    """Whether it keeps strangers out, and what it holds."""
    from booking_tasks.ops import brokers

    if brokers.is_open(url, PATIENCE):
        shown = brokers.without_password(url)
        yield Finding(
            name, "warning", f"{shown} lets anybody in", "give it an ACL file without an open default user"
        )
    if not brokers.is_redis(url):
        return
    policy, mend = brokers.eviction(url, PATIENCE), "set maxmemory-policy noeviction"
    if policy is None:
        seen = "whether it drops keys when full is not for this account to see"
        yield Finding(name, "ok", seen, "look by INFO memory as operator; " + mend)
    elif policy != "noeviction":
        yield Finding(name, "warning", f"it drops keys when full ({policy})", mend)


def _results(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops import brokers

    if config.results == config.broker:
        return
    shown = brokers.without_password(config.results)
    brokers.ping(config.results, PATIENCE)
    yield Finding("results", "ok", f"{shown} answers")
    if brokers.is_redis(config.results):
        yield from _keeping("results", config.results)


# -- where the effects go ------------------------------------------------------------------------------


def _mail(config: Settings) -> Iterator[Finding]:
    import smtplib
    import ssl

    where = f"{config.smtp_host}:{config.smtp_port}"
    mend = "start it, or correct BOOKING_SMTP_HOST, _PORT and _SECURITY; mail waits and is retried"
    try:
        if config.smtp_security == "tls":
            context = ssl.create_default_context()
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                config.smtp_host, config.smtp_port, "check.invalid", timeout=PATIENCE, context=context
            )
        else:
            client = smtplib.SMTP(config.smtp_host, config.smtp_port, "check.invalid", timeout=PATIENCE)
        with client:
            client.ehlo()
            offered = client.has_extn("starttls")
    except (OSError, smtplib.SMTPException) as error:
        yield Finding("mail", "warning", f"{where}: {_first_line(error)}", mend)
        return
    if config.smtp_security == "starttls" and not offered:
        yield Finding("mail", "warning", f"{where} offers no STARTTLS", "correct BOOKING_SMTP_SECURITY")
    else:
        yield Finding("mail", "ok", f"{where} answers")


def _meetings(config: Settings) -> Iterator[Finding]:
    from booking_tasks.kit.errors import EffectError
    from booking_tasks.meetings.provider import HttpMeetingPlatform

    address = urlsplit(config.meeting_url)
    where = f"{address.scheme}://{address.hostname}:{address.port or ''}".rstrip(":")
    token = config.meeting_token.get_secret_value() if config.meeting_token else None
    now = datetime.now(UTC)
    try:
        with HttpMeetingPlatform(config.meeting_url, token, timedelta(seconds=PATIENCE)) as platform:
            platform.rooms(now, now + timedelta(minutes=1))
    except EffectError as error:
        mend = (
            "start it, or correct BOOKING_MEETING_URL and BOOKING_MEETING_TOKEN; links wait and are retried"
        )
        yield Finding("meetings", "warning", f"{where}: {error}", mend)
        return
    yield Finding("meetings", "ok", f"{where} answers")


def _answers(config: Settings) -> Iterator[Finding]:
    from booking_tasks.ops.check_answers import answers

    yield from (Finding("answers", *said) for said in answers(config, PATIENCE))


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
_MENDS = {
    "environment": "report this",
    "time zones": "install the package tzdata",
    "solver": "install the extra solver anew",
    "database": "start PostgreSQL, or correct DATABASE_URL",
    "broker": "start the broker, or correct CELERY_BROKER_URL or REDIS_URL",
    "results": "start it, or correct CELERY_RESULT_BACKEND",
    "mail": "correct the BOOKING_SMTP_* settings",
    "meetings": "correct BOOKING_MEETING_URL",
    "answers": "correct BOOKING_PUBLIC_URL",
}
