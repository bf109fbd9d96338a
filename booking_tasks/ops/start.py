"""What a process examines at its start: the schema, the pooler, and the servers that it needs.

Celery imports this module with the tasks (`imports` in celery.py), so that `celery -A booking_tasks worker`
does the same as `booking-tasks worker`.
"""

from __future__ import annotations

import sys
from typing import Any

from celery.signals import beat_init, worker_init

from booking_tasks.kit.database import refuse_unsuitable_pooler
from booking_tasks.kit.errors import BookingTasksError
from booking_tasks.kit.logs import logger
from booking_tasks.kit.settings import Settings, settings
from booking_tasks.ops.migrate import refuse_older_schema
from booking_tasks.ops.ready import failures

log = logger(__name__)


def examine_servers(config: Settings) -> None:
    """Refuse an older schema and an unsuitable pooler; log each server that cannot be used at present.

    A process starts without its servers, and works when they are back. Raises SchemaError and
    UnsuitablePoolerError.
    """
    refuse_older_schema(config.database_url)
    refuse_unsuitable_pooler()
    for name, reason in failures(config).items():
        log.warning("start.unreachable", server=name, error=reason)


@worker_init.connect
@beat_init.connect
def _examine_at_start(**_: Any) -> None:
    """End the process with one line when it cannot work here."""
    try:
        examine_servers(settings())
    except BookingTasksError as error:
        sys.exit(f"booking-tasks: {error}")
