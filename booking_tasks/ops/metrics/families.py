"""The exported series: names, help texts, and their values from the rows of a scrape.

Labels have values of closed sets only, and every value of a set is exported, with 0 where there is nothing.
So the number of series never depends on the data. All series are gauges of the moment or of the last hour:
retention removes rows, and a counter must not fall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from booking_tasks.celery import app
from booking_tasks.enums import JobState, PutOffReason, RequestStatus
from booking_tasks.ops.metrics.reading import DAILY_RUNS, Reading
from booking_tasks.outbox.event_types import EventType
from booking_tasks.outbox.job_args import JobType

Values = Mapping[tuple[str, ...], float]

#: The statuses of requests without a session, as in `queries/requests.sql`.
_WAITING = (RequestStatus.PENDING, RequestStatus.PENDING_ASSIGNMENT, RequestStatus.PENDING_CONFIRMATION)


def _gauge(name: str, help_text: str, values: float | Values, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"booking_{name}", help_text, labels=labels)
    for label_values, value in values.items() if isinstance(values, Mapping) else [((), values)]:
        family.add_metric(label_values, value)
    return family


def _seconds(span: timedelta | None) -> float:
    return 0.0 if span is None else max(0.0, span.total_seconds())


def _timestamp(instant: datetime | None) -> float:
    return 0.0 if instant is None else instant.timestamp()


def of_exporter(*, up: bool) -> Iterator[Metric]:
    """The series that are there whether or not the database can be read."""
    yield _gauge("exporter_up", "Whether the last scrape could read the database.", float(up))
    yield _gauge("build_info", "The version of the exporter.", {(version("booking-tasks"),): 1.0}, "version")


def of_reading(reading: Reading) -> Iterator[Metric]:
    """The series of the database."""
    rows = reading.rows
    yield from _due_jobs(rows["jobs"])
    yield from _open_jobs(rows)
    yield from _messages(rows["messages"][0])
    yield from _runs(rows)
    yield from _bookings(rows)
    yield from _last_hour(rows)


def _due_jobs(rows: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    def by_type(column: str) -> Values:
        return {(row["job_type"],): _seconds(row[column]) for row in rows}

    due: Values = {(row["job_type"],): float(row["due"]) for row in rows}
    yield _gauge("jobs_due", "Jobs that a worker could run now.", due, "job_type")
    text = "How long the longest waiting job that a worker could run now has waited for a worker."
    yield _gauge("jobs_due_lag_seconds", text, by_type("lag"), "job_type")
    text = "How long ago the oldest unfinished job was due, put-off jobs included."
    yield _gauge("jobs_due_age_seconds", text, by_type("age"), "job_type")
    late = sum(float(row["late"]) for row in rows if row["job_type"] == JobType.SEND_REMINDER)
    yield _gauge("reminders_late", "Reminders that were due more than five minutes ago.", late)


def _open_jobs(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Metric]:
    put_off: dict[tuple[str, ...], float] = {
        (job_type, reason): 0.0 for job_type in JobType for reason in PutOffReason
    }
    for row in rows["put_off"]:
        labels = row["job_type"], row["put_off_reason"]
        if labels not in put_off:  # a reason of another release
            labels = row["job_type"], PutOffReason.FAILED
        if labels in put_off:
            put_off[labels] += row["number"]
    text = "Jobs that wait for their next try, by the reason why the last one failed."
    yield _gauge("jobs_put_off", text, put_off, "job_type", "reason")
    texts = {
        JobState.DEAD: "Jobs that failed for good and wait for a person.",
        JobState.UNCERTAIN: "Jobs with an unknown result that wait for a person.",
    }
    for state, text in texts.items():
        found = {row["job_type"]: row["number"] for row in rows["undecided"] if row["state"] == state}
        values: Values = {(job_type,): float(found.get(job_type, 0)) for job_type in JobType}
        yield _gauge(f"jobs_{state}", text, values, "job_type")
    [leases] = rows["leases"]
    yield _gauge("jobs_leased", "Jobs that a worker holds.", leases["held"])
    yield _gauge("jobs_lease_expired", "Jobs whose worker vanished.", leases["expired"])


def _messages(row: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("inbox_messages", "Inbound messages that are not answered yet.", row["waiting"])
    text = "How long ago the oldest unanswered inbound message was received."
    yield _gauge("inbox_age_seconds", text, _seconds(row["age"]))
    text = "Dead letters, counted up to 10,000."
    yield _gauge("dead_letters", text, row["dead_letters"])
    text = "Messages for tasks that no running release has, counted up to 10,000."
    yield _gauge("parked_messages", text, row["parked"])


def _runs(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Metric]:
    sweeps: dict[str, Mapping[str, Any]] = {row["sweep"]: row for row in rows["sweeps"]}
    published = max((_timestamp(row["published_at"]) for row in sweeps.values()), default=0.0)
    text = "When a beat last published a message to a worker; 0: never, or no sweep has succeeded yet."
    yield _gauge("beat_last_publish_timestamp_seconds", text, published)
    succeeded: Values = {
        (name,): _timestamp(sweeps[name]["succeeded_at"]) if name in sweeps else 0.0
        for name in sorted(app.conf.beat_schedule)
    }
    text = "When a sweep last succeeded; 0: never."
    yield _gauge("sweep_last_success_timestamp_seconds", text, succeeded, "sweep")
    started = {row["schedule"]: row["started_at"] for row in rows["daily_runs"]}
    daily: Values = {(name,): _timestamp(started.get(name)) for name in DAILY_RUNS}
    text = "When daily work last ran; 0: never."
    yield _gauge("daily_run_timestamp_seconds", text, daily, "schedule")


def _bookings(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Metric]:
    waiting: dict[str, Mapping[str, Any]] = {row["status"]: row for row in rows["requests"]}
    statuses = _WAITING
    numbers: Values = {(one,): float(waiting[one]["number"]) if one in waiting else 0.0 for one in statuses}
    yield _gauge("requests_waiting", "Requests that have no session yet.", numbers, "status")
    ages: Values = {(one,): _seconds(waiting[one]["age"]) if one in waiting else 0.0 for one in statuses}
    text = "How long ago the oldest request that has no session yet was made."
    yield _gauge("requests_waiting_age_seconds", text, ages, "status")
    [holds], [sessions], [calendars] = rows["holds"], rows["sessions"], rows["calendars"]
    yield _gauge("holds", "Holds of time that have not expired.", holds["held"])
    yield _gauge("time_offers", "Offers of freed time that can be accepted.", holds["offers"])
    text = "Sessions without a meeting link that begin within BOOKING_LINK_ALERT."
    yield _gauge("sessions_without_link", text, sessions["without_link"])
    yield _gauge("calendar_feeds", "Outside calendars.", calendars["feeds"])
    yield _gauge("calendar_feeds_failing", "Outside calendars whose last read failed.", calendars["failing"])
    text = "Outside calendars whose copy is older than BOOKING_CALENDAR_STALE_AFTER."
    yield _gauge("calendar_feeds_stale", text, calendars["stale"])


def _last_hour(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[Metric]:
    [holds], [found] = rows["holds"], rows["assignments"]
    yield _gauge("holds_made_last_hour", "Requests that got a hold in the last hour.", holds["made"])
    text = "Those of booking_holds_made_last_hour that have a session by now."
    yield _gauge("holds_booked_last_hour", text, holds["booked"])
    yield _gauge("assignments_last_hour", "Sessions agreed in the last hour.", found["number"])
    durations = {
        "median": ("median", "Median time"),
        "p95": ("most", "95th percentile of the time"),
        "max": ("longest", "Longest time"),
    }
    for name, (column, which) in durations.items():
        text = f"{which} from the request to the session, of the sessions agreed in the last hour."
        yield _gauge(f"assignment_{name}_seconds", text, _seconds(found[column]))
    numbers = {row["type"]: row["number"] for row in rows["events"]}
    events: Values = {(type_,): float(numbers.get(type_, 0)) for type_ in EventType}
    yield _gauge("events_last_hour", "Events of the history in the last hour.", events, "type")
