"""The Celery app: `celery -A booking_tasks worker` and `celery -A booking_tasks beat`.

The broker only wakes workers, and no setting here is needed for delivery: late acknowledgement and rejection
on a lost worker only make recovery faster than the sweeps alone. No ETA, countdown, canvas, revoke or
priority is used anywhere.
"""

from __future__ import annotations

import importlib.util
import ssl
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property, partial
from heapq import heapify
from pathlib import Path
from types import ModuleType
from typing import Any

from celery import Celery, bootsteps
from celery.beat import Scheduler, event_t
from celery.beat import logger as beat_log
from celery.platforms import signals
from celery.schedules import schedstate
from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    task_success,
    worker_process_init,
    worker_shutting_down,
)

from booking_tasks.contracts import PUBLIC, TASK_PREFIX
from booking_tasks.kit import shutdown
from booking_tasks.kit.background import LatestRecorder
from booking_tasks.kit.database import forget_inherited_connections, transaction
from booking_tasks.kit.errors import SettingsError
from booking_tasks.kit.heartbeat import DEFAULT_SECONDS, touch_heartbeat
from booking_tasks.kit.logs import configure_logging, logger
from booking_tasks.kit.queues import BROKER_SECONDS, declared_queues, destination, send_with_reconnect
from booking_tasks.kit.settings import Settings, settings, unknown_settings
from booking_tasks.kit.tracing import start_tracing
from booking_tasks.outbox.jobs import JOB_TYPES
from booking_tasks.outbox.sweep_runs import record_publish, record_sweep

log = logger(__name__)

TASK_MODULES = (
    "booking_tasks.absence.tasks",
    "booking_tasks.assignment.tasks",
    "booking_tasks.attendance.tasks",
    "booking_tasks.availability.tasks",
    "booking_tasks.batch.tasks",
    "booking_tasks.calendars.tasks",
    "booking_tasks.catalogue.tasks",
    "booking_tasks.credits.tasks",
    "booking_tasks.events.tasks",
    "booking_tasks.forgetting.tasks",
    "booking_tasks.guard.tasks",
    "booking_tasks.holds.tasks",
    "booking_tasks.hours.tasks",
    "booking_tasks.inbox.tasks",
    "booking_tasks.intake.tasks",
    "booking_tasks.invites.tasks",
    "booking_tasks.jobs.tasks",
    "booking_tasks.meetings.tasks",
    "booking_tasks.reminders.tasks",
    "booking_tasks.replies.tasks",
    "booking_tasks.retention.tasks",
    "booking_tasks.search.tasks",
    "booking_tasks.series.tasks",
    "booking_tasks.sessions.tasks",
    "booking_tasks.waiting.tasks",
)
#: It examines the servers before a worker or beat begins. It is above this module, which must not import it.
START_MODULE = "booking_tasks.ops.start"

#: The guarded transport for each scheme of the broker's URL.
TRANSPORTS = {
    "redis": "booking_tasks.guard.channel:Transport",
    "rediss": "booking_tasks.guard.channel:Transport",
    "amqp": "booking_tasks.guard.amqp_channel:GuardedAmqpTransport",
    "amqps": "booking_tasks.guard.amqp_channel:GuardedAmqpTLSTransport",
    "pyamqp": "booking_tasks.guard.amqp_channel:GuardedAmqpTransport",
}

#: The result backend on RabbitMQ alone.
ANSWER_BACKEND = "booking_tasks.guard.answers:AnswerBackend"

#: The least time between two records of one sweep's runs by one process, or of a beat's messages, in seconds.
_RECORD_SECONDS = 5.0
#: That of all entries in Celery's heap.
_PRIORITY = 5
#: A beat that has sent nothing for this many sweep intervals counts as dead.
_MISSED_TICKS = 3
#: A sweep that killed its process must not be delivered again at once; its next tick is soon enough.
_SWEEP = {"acks_late": False, "reject_on_worker_lost": False}
#: The request class of every task.
_REQUEST = {"*": {"Request": "booking_tasks.guard.request:RequestNotRevokedOnExpiry"}}


class BeatScheduler(Scheduler):
    """Celery's scheduler in memory, with a heartbeat file; several may run side by side.

    Only a beat that reaches the broker has a heartbeat: it is touched after each message that was sent.
    Intervals are elapsed time, so that a change of the host's clock neither doubles nor delays a tick. Celery
    makes one connection and keeps it when it is broken; here the next try makes another one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sent_at: dict[str, float] = {}
        self._recorder = LatestRecorder(_record_publish, _RECORD_SECONDS)
        super().__init__(*args, **kwargs)

    @cached_property
    def producer(self) -> Any:
        """Return the producer, which connects when it publishes. Celery's waits for a broker that is away."""
        return self.Producer(self.connection, auto_declare=False)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one entry, over a new connection when the present one is broken."""
        beat_log.info("Scheduler: Sending due task %s (%s)", entry.name, entry.task)
        try:
            send_with_reconnect(partial(self._publish, entry))
        except Exception as error:  # noqa: BLE001 - each transport has its own errors; the next tick tries again
            log.warning("beat.not_sent", entry=entry.name, error=f"{type(error).__name__}: {error}")
        else:
            touch_heartbeat(settings().heartbeat_file, _beat_age(settings()))
            self._recorder.put((entry.name, time.monotonic()))

    def _publish(self, entry: Any) -> None:
        try:
            self.apply_async(entry, producer=self.producer, advance=False)
        except Exception:  # each transport has its own errors; none leaves a connection that is safe to reuse
            self._forget_connection()
            raise

    def _forget_connection(self) -> None:
        """Drop the connection without the closing handshake, which a broker that hangs would not answer."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            with suppress(Exception):
                connection.collect(socket_timeout=1)

    def populate_heap(self, *_: Any, **__: Any) -> None:
        """Plan the first message of each entry at once. Celery's would come after one interval.

        So a beat that is restarted often sends its messages too, and has a heartbeat from its start.
        """
        states = ((entry, self.is_due(entry)) for entry in self.schedule.values())
        self._heap = [
            event_t(self._when(entry, 0 if state.is_due else state.next), _PRIORITY, entry)
            for entry, state in states
        ]
        heapify(self._heap)

    def is_due(self, entry: Any) -> schedstate:
        """Return whether the entry's interval has passed, and after how many seconds to check again."""
        interval = entry.schedule.run_every / timedelta(seconds=1)
        wait = self._sent_at.get(entry.name, -interval) + interval - time.monotonic()
        return schedstate(wait <= 0, interval if wait <= 0 else wait)

    def reserve(self, entry: Any) -> Any:
        """Remember when the entry was sent."""
        self._sent_at[entry.name] = time.monotonic()
        return super().reserve(entry)

    def _when(self, entry: Any, next_time_to_run: float | None, *_: Any) -> float:
        return time.monotonic() + (self.adjust(next_time_to_run) or 0)


def _beat_age(config: Settings) -> float:
    """Return how old a beat's heartbeat may become, in seconds: it sends something once in each interval."""
    return max(DEFAULT_SECONDS, _MISSED_TICKS * config.sweep_interval / timedelta(seconds=1))


def _record_publish(published: tuple[str, float]) -> None:
    """Record which sweep's message a beat published, and when by the monotonic clock."""
    sweep, then = published
    with transaction() as db:
        record_publish(db, sweep, timedelta(seconds=time.monotonic() - then))


class HeartbeatFile(bootsteps.StartStopStep):
    """Touches a file from the worker's own timer, so that a health check needs no answer of the worker."""

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: Any) -> None:
        touch_heartbeat(settings().heartbeat_file)
        parent.timer.call_repeatedly(5.0, settings().heartbeat_file.touch)


def schedule_module() -> ModuleType:
    """Load `beat_schedule`: the copy inside the installed package, or the root file of a checkout.

    A file of this name in the current directory is never used.
    """
    package = Path(__file__).parent
    installed = package / "_beat_schedule.py"
    path = installed if installed.exists() else package.parent / "beat_schedule.py"
    spec = importlib.util.spec_from_file_location("booking_tasks._beat_schedule", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"no beat schedule at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def queue_names() -> dict[str, str]:
    """Return the queue of each task: public tasks by trust, jobs and sweeps by latency."""
    public = {TASK_PREFIX + name: str(contract.queue) for name, contract in PUBLIC.items()}
    jobs = {TASK_PREFIX + name: job_type.queue for name, job_type in JOB_TYPES.items()}
    sweeps = {TASK_PREFIX + name: queue for name, queue in schedule_module().QUEUES.items()}
    return public | jobs | sweeps | {TASK_PREFIX + "*": "sweep"}


def configuration(config: Settings) -> dict[str, Any]:
    """Return Celery's settings. Every time-out is below the lease, so that a stuck call loses no job."""
    scheme = config.broker.partition("://")[0]
    if scheme not in TRANSPORTS:
        raise SettingsError(f"CELERY_BROKER_URL: must start with {', '.join(TRANSPORTS)}, then ://")
    if ";" in config.broker:  # kombu would fail over without the guard, and a wake-up would wait
        raise SettingsError("CELERY_BROKER_URL: names several brokers; write one, or a proxy before them")
    return _broker_settings(config, scheme) | _task_settings(config) | _worker_settings(config)


def _broker_settings(config: Settings, scheme: str) -> dict[str, Any]:
    verified = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    # The sender of a wake-up must not wait, so there is no pause and second try when the broker refuses.
    without_retries = {"max_retries": 0}
    amqp_options = without_retries | {"confirm_publish": True}
    redis_options = without_retries | {
        "visibility_timeout": 3600,
        "socket_timeout": BROKER_SECONDS,
        "socket_connect_timeout": BROKER_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    return {
        "broker_url": config.broker,
        "broker_transport": TRANSPORTS[scheme],
        "broker_use_ssl": verified if scheme == "rediss" else None,
        "broker_connection_timeout": BROKER_SECONDS,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_transport_options": amqp_options if "amqp" in scheme else redis_options,
        "result_backend": config.results or ANSWER_BACKEND,
        "result_backend_transport_options": {"retry_policy": {"max_retries": 1}},
        "redis_backend_use_ssl": verified if (config.results or "").startswith("rediss") else None,
        "redis_socket_timeout": BROKER_SECONDS / 2,
        "redis_socket_connect_timeout": BROKER_SECONDS / 2,
    }


def _task_settings(config: Settings) -> dict[str, Any]:
    sweeps = {TASK_PREFIX + name: _SWEEP for name in schedule_module().SWEEPS}
    return {
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "enable_utc": True,
        "timezone": "UTC",
        "task_queues": declared_queues(config.broker),
        "task_default_queue": "sweep",
        "task_create_missing_queues": False,
        "task_default_exchange": "",
        "task_routes": {name: destination(queue, config.broker) for name, queue in queue_names().items()},
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_annotations": _REQUEST | sweeps,
        "task_ignore_result": True,
        "task_time_limit": 300,
        "task_publish_retry": False,
        "result_expires": config.result_expiry,
    }


def _worker_settings(config: Settings) -> dict[str, Any]:
    return {
        "worker_consumer": "booking_tasks.guard.consumer:GuardedConsumer",
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": config.remote_control,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_soft_shutdown_timeout": 10,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_max_tasks_per_child": 10_000,
        "beat_scheduler": "booking_tasks.celery:BeatScheduler",
        "beat_max_loop_interval": min(5.0, config.sweep_interval / timedelta(seconds=1)),
        "beat_schedule": schedule_module().beat_schedule(config),
        "imports": (*TASK_MODULES, START_MODULE),
    }


def make_app() -> Celery:
    """Make the app of this process; a wrong setting ends the process with one line for each."""
    try:
        config = configuration(settings())
    except SettingsError as error:
        sys.exit("\n".join(f"booking_tasks: {line}" for line in str(error).splitlines()))
    celery = Celery(
        "booking_tasks", amqp="booking_tasks.kit.amqp_transport:MandatoryTasks", set_as_current=True
    )
    celery.conf.update(config)
    celery.steps["worker"].add(HeartbeatFile)
    return celery


app = make_app()


@worker_process_init.connect
def _after_fork(**_: Any) -> None:
    forget_inherited_connections()
    start_tracing()


#: Sweep -> when this process last recorded a run of it, by the monotonic clock.
_recorded: dict[str, float] = {}


@task_success.connect
def _record_sweep(sender: Any, **_: Any) -> None:
    """Record the run of a sweep, at most once in a few seconds. Without the database it is not recorded."""
    sweep = sender.name.removeprefix(TASK_PREFIX)
    if sweep not in app.conf.beat_schedule:
        return
    now = time.monotonic()
    if now - _recorded.get(sweep, -_RECORD_SECONDS) < _RECORD_SECONDS:
        return
    try:
        with transaction() as db:
            record_sweep(db, sweep, _published_at(sender.request.expires))
        _recorded[sweep] = now
    except Exception as error:  # noqa: BLE001 - any error of the database: the sweep itself has succeeded
        log.warning("sweep.not_recorded", sweep=sweep, error=type(error).__name__)


def _published_at(expires: str | None) -> datetime | None:
    """When a beat published a tick: its messages expire a fixed time after that."""
    return None if expires is None else datetime.fromisoformat(expires) - settings().wakeup_ttl


@worker_shutting_down.connect
def _request_shutdown(**_: Any) -> None:
    shutdown.request()


def _warn_of_unknown_settings() -> None:
    if names := unknown_settings():
        log.warning("settings.unknown", names=names)


@beat_init.connect
def _stop_beat_on_signals(sender: Any, **_: Any) -> None:
    """Make SIGTERM and SIGINT stop the beat's service and not only raise SystemExit.

    A broker's client in the middle of a call may turn Celery's own exception into another error, which the
    scheduler logs before it goes on.
    """

    def stop(*_: Any) -> None:
        sender.stop()
        raise SystemExit

    signals.update(SIGTERM=stop, SIGINT=stop)
    _warn_of_unknown_settings()


@celeryd_init.connect
def _configure_logging_early(**_: Any) -> None:
    """Configure logging before the worker checks itself, so that its warnings are JSON lines too."""
    configure_logging(final=False)
    _warn_of_unknown_settings()


@setup_logging.connect
def _configure_logging(loglevel: int | None = None, **_: Any) -> None:
    configure_logging(loglevel or 20)
