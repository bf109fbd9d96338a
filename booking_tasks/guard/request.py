"""Celery's request of a task, without the memory of expired messages."""

from __future__ import annotations

from celery.worker.request import Request
from celery.worker.state import revoked


class RequestNotRevokedOnExpiry(Request):
    """A request whose id is not kept in the list of revoked ids when its message has expired.

    Celery would keep the id there for hours and drop every later message with this id without a log line.
    A sender who repeats an expired message, with a later `expires` or none, would get no answer.
    """

    def maybe_expire(self) -> bool:
        """Revoke the request when its message has expired, and return whether it has."""
        was_revoked = self.id in revoked
        is_late = bool(super().maybe_expire())
        if is_late and not was_revoked:
            revoked.discard(self.id)
        return is_late
