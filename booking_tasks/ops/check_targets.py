"""The checks of the targets of effects, and of the work that waits for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from booking_tasks.enums import PutOffReason
from booking_tasks.kit.errors import EffectError, EffectNotDoneError
from booking_tasks.kit.settings import Settings
from booking_tasks.ops.findings import Finding, State
from booking_tasks.outbox.jobs import JOB_TYPES
from booking_tasks.sql import query_text

#: A beat or sweep that is silent for longer than this many sweep intervals, and a minute, is reported.
_LATE_TICKS = 6
_OWN = "the service itself"
_WITHOUT_LINK = """
    SELECT count(*)
      FROM scheduled_sessions,
           (SELECT coalesce((SELECT instant FROM stepped_clock), statement_timestamp()) AS instant) clock
     WHERE status = 'scheduled' AND meeting_platform_join_url IS NULL
       AND scheduled_start_time > clock.instant AND scheduled_start_time <= clock.instant + %s
"""


def mail(config: Settings, seconds: float) -> Finding:
    """Log in at the mail server and offer it a mail, which is not sent."""
    from booking_tasks.mail.transport import transport

    where = f"{config.smtp_host}:{config.smtp_port}"
    try:
        replace(transport(config), timeout=seconds).probe(config.mail_address)
    except EffectError as error:
        if _is_login_refused(error):
            remedy = "correct BOOKING_SMTP_USER and BOOKING_SMTP_PASSWORD"
        else:
            remedy = "start it, or correct BOOKING_SMTP_HOST, _PORT and _SECURITY"
        return Finding("mail", State.WARNING, f"{where}: {error}", f"{remedy}; mail waits and is retried")
    seen = "lets this account in and takes mail" if config.smtp_user else "takes mail"
    return Finding("mail", State.OK, f"{where} {seen}")


def meetings(config: Settings, seconds: float) -> Finding:
    """Ask the meeting platform for its rooms of the next minute, with the token."""
    from booking_tasks.meetings.provider import HttpMeetingPlatform

    address = urlsplit(config.meeting_url)
    where = f"{address.scheme}://{address.hostname}:{address.port or ''}".rstrip(":")
    token = config.meeting_token.get_secret_value() if config.meeting_token else None
    now = datetime.now(UTC)
    try:
        with HttpMeetingPlatform(config.meeting_url, token, timedelta(seconds=seconds)) as platform:
            platform.rooms(now, now + timedelta(minutes=1))
    except EffectError as error:
        if _is_login_refused(error):
            remedy = "correct BOOKING_MEETING_TOKEN"
        else:
            remedy = "start it, or correct BOOKING_MEETING_URL"
        return Finding(
            "meetings", State.WARNING, f"{where}: {error}", f"{remedy}; links wait and are retried"
        )
    return Finding("meetings", State.OK, f"{where} answers")


def _is_login_refused(error: EffectError) -> bool:
    return isinstance(error, EffectNotDoneError) and error.reason == PutOffReason.LOGIN_REFUSED


def waiting_work(config: Settings, db: Any) -> Iterator[Finding]:
    """Check what waits for its next try, which sessions begin without a link, and when sweeps last ran."""
    yield from _put_off(db)
    yield _links(config, db)
    yield _beat(config, db)


def _put_off(db: Any) -> Iterator[Finding]:
    waiting: dict[str, list[tuple[str, int, timedelta]]] = {}
    for job_type, reason, count, age in db.execute(query_text(__package__, "put_off")):
        policy = JOB_TYPES.get(job_type)
        target = policy.target if policy is not None and policy.target is not None else _OWN
        waiting.setdefault(target, []).append((reason or PutOffReason.FAILED, count, age))
    for target, rows in sorted(waiting.items()):
        total, oldest = sum(count for _, count, _ in rows), max(age for _, _, age in rows)
        reasons: Counter[str] = Counter()
        for reason, count, _ in rows:
            reasons[reason] += count
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        seen = f"{target}: {total} wait for their next try ({listed}); the oldest was due {_age(oldest)} ago"
        if set(reasons) == {PutOffReason.SNOOZED}:
            yield Finding("put off", State.OK, seen)
            continue
        retry = "" if target == _OWN else f"; when it is back: booking-tasks jobs retry-now --target {target}"
        yield Finding(
            "put off", State.WARNING, seen, f"see booking-tasks jobs list --put-off for the errors{retry}"
        )
    if not waiting:
        yield Finding("put off", State.OK, "no job waits for its next try")


def _links(config: Settings, db: Any) -> Finding:
    minutes = config.link_alert / timedelta(minutes=1)
    count = db.execute(_WITHOUT_LINK, [config.link_alert]).fetchone()[0]
    seen = f"{count} sessions begin within {minutes:g} min without a meeting link"
    if count:
        return Finding("links", State.WARNING, seen, "see the checks of meetings and put off")
    return Finding("links", State.OK, seen)


def _beat(config: Settings, db: Any) -> Finding:
    """Return when a beat last published a message, and when a worker last ran one."""
    published, succeeded = db.execute(
        "SELECT clock_timestamp() - max(coalesce(published_at, succeeded_at)),"
        " clock_timestamp() - max(succeeded_at) FROM sweep_runs"
    ).fetchone()
    if succeeded is None:
        return Finding("beat", State.OK, "no sweep has run in this database yet")
    seen = f"a beat last published {_age(published)} ago, a sweep last succeeded {_age(succeeded)} ago"
    late = max(_LATE_TICKS * config.sweep_interval, timedelta(minutes=1))
    if published > late:
        return Finding("beat", State.WARNING, seen, "start a beat")
    if succeeded > late:
        return Finding("beat", State.WARNING, seen, "start a worker for sweep")
    return Finding("beat", State.OK, seen)


def _age(age: timedelta) -> str:
    minutes = max(0, int(age / timedelta(minutes=1)))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
