"""A message in the worker's hand, which is dropped when it comes too late, and forgotten then."""

from __future__ import annotations

from celery.worker.request import Request
from celery.worker.state import revoked


class RequestWithoutId(Request):
    """A request whose id does not stay behind among the revoked ones when it came too late.

    Celery keeps it there for hours, and drops without a word whatever else comes under it: whoever sends
    again what was too late, with a later `expires` or none, would not be heard by this worker.
    """

    def maybe_expire(self) -> bool:
        """Whether it comes too late."""
        was_revoked = self.id in revoked
        is_late = bool(super().maybe_expire())
        if is_late and not was_revoked:
            revoked.discard(self.id)
        return is_late
