"""The task that publishes events."""

from __future__ import annotations

from dataclasses import dataclass

from kombu import Queue
from sqlalchemy.orm import Session

from booking_tasks.celery import app
from booking_tasks.context import Context
from booking_tasks.contracts import TASK_PREFIX
from booking_tasks.events import service
from booking_tasks.events.publisher import Publisher, Targets
from booking_tasks.jobs.rules import LeasedJob
from booking_tasks.jobs.runner import Send, Skipped, Step, run_due
from booking_tasks.kit.broker_urls import is_amqp
from booking_tasks.kit.queues import EVENTS_EXCHANGE
from booking_tasks.kit.settings import Settings, settings
from booking_tasks.outbox.job_args import PublishEvent


@dataclass(frozen=True)
class PublishEventHandler:
    """Builds the CloudEvent once; every repeat carries the same bytes."""

    publisher: Publisher
    source: str
    type_prefix: str

    def prepare(self, db: Session, ctx: Context, job: LeasedJob[PublishEvent]) -> Step:
        """The event's bytes, unless there is no target or no event."""
        if not self.publisher.targets:
            return Skipped("no stream, no task and no exchange is configured")
        if job.payload is not None:
            return Send(job.payload)
        event = service.cloud_event(db, job.args.event_id, self.source, self.type_prefix)
        return (
            Skipped("the history no longer has it")
            if event is None
            else Send(event.model_dump_json().encode())
        )

    def perform(self, payload: bytes) -> None:
        """Publish."""
        self.publisher.publish(payload)

    def record(self, db: Session, ctx: Context, job: LeasedJob[PublishEvent], result: object) -> None:
        """Nothing follows: the finished job shows that the event is published."""

    def record_delay(self, db: Session, ctx: Context, job: LeasedJob[PublishEvent], reason: str) -> None:
        """Nothing follows: the event is published when the target is back."""

    def give_up(self, db: Session, ctx: Context, job: LeasedJob[PublishEvent], reason: str) -> None:
        """Nothing follows: the dead job is replayed when the target is back."""


@app.task(name=TASK_PREFIX + "publish_event")
def publish_event() -> int:
    """Publish the due events; returns how many jobs were run."""
    config = settings()
    with Publisher(targets_of(config), app.send_task, app.producer_or_acquire) as publisher:
        handler = PublishEventHandler(publisher, config.event_source, config.event_type_prefix)
        return run_due(PublishEvent, handler)


def targets_of(config: Settings) -> Targets:
    """Return where this deployment publishes: on RabbitMQ its exchange of events, and Redis only if named."""
    queue = config.event_queue and Queue(config.event_queue, durable=True)
    return Targets(
        redis_url=config.redis_url,
        stream=config.event_stream if config.has_redis else None,
        stream_length=config.event_stream_length,
        task=config.event_task,
        queue=queue or None,
        exchange=EVENTS_EXCHANGE if is_amqp(config.broker) else None,
    )
