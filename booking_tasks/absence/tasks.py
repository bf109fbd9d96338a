"""Public tasks of the room."""

from __future__ import annotations

from booking_tasks.absence import service
from booking_tasks.contracts import ReassignSession
from booking_tasks.inbox.tasks import accepts

reassign_session = accepts(ReassignSession)(service.reassign)
