"""The directory's public task."""

from __future__ import annotations

from booking_tasks.contracts import UpsertUser
from booking_tasks.directory import service
from booking_tasks.inbox.tasks import accepts

upsert_user = accepts(UpsertUser)(service.upsert_user)
