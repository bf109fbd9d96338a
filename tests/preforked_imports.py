"""What a worker or beat imports and what is the same whatever its settings are; loaded before it is forked.

Of ours only what makes no app and reads no setting when it is imported.
"""

# ruff: noqa: F401
from __future__ import annotations

import gc
import sys

import caldav
import celery.__main__
import celery.app.trace
import celery.apps.beat
import celery.apps.worker
import celery.backends.redis
import celery.bin.celery
import celery.concurrency.prefork
import celery.concurrency.solo
import celery.fixups.django
import celery.worker.consumer
import holidays
import httpcore2
import httpx2
import icalendar
import kombu.transport.redis
import psycopg
import recurring_ical_events
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.orm
import structlog

import booking_tasks.contracts.public
import booking_tasks.guard.channel
import booking_tasks.guard.rules
import booking_tasks.kit.database
import booking_tasks.models
import booking_tasks.ops.cli
import booking_tasks.ops.migrate

# Its flag is shared memory: forked, one worker that is told to stop would stop all that follow.
assert "booking_tasks.kit.shutdown" not in sys.modules

gc.freeze()
