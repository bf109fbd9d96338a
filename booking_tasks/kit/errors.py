"""Errors that several packages raise or handle: settings, effects, leases and transitions."""

from __future__ import annotations

from booking_tasks.enums import PutOffReason


class BookingTasksError(Exception):
    """The root of every error that this package raises on purpose."""


class SettingsError(BookingTasksError):
    """A setting is missing or wrong; the message has one line for each, with the variable and the remedy."""


class NotAnsweredError(BookingTasksError):
    """A message got no answer, so its caller sends it again; the worker's log has the reason."""


class EffectError(BookingTasksError):
    """An effect in the outside world (mail, meeting, event) failed, or its result is unknown."""


class EffectNotDoneError(EffectError):
    """The effect did not happen; a later try may succeed. `reason` is the code of what was in the way."""

    def __init__(self, text: str, reason: PutOffReason = PutOffReason.NOT_READY) -> None:
        super().__init__(text)
        self.reason = reason


class AwaitedDataError(EffectNotDoneError):
    """The effect needs data of our own that is not there yet; nothing was tried, so no attempt counts."""

    def __init__(self, text: str) -> None:
        super().__init__(text, PutOffReason.DIRECTORY)


class EffectRefusedError(EffectError):
    """The target refused the effect for good; a later try cannot succeed."""


class EffectUnknownError(EffectError):
    """The effect may or may not have happened, because the reply was lost."""


class LostLeaseError(BookingTasksError):
    """The job's lease has expired and another worker may hold it, so nothing may be written under it."""


class IllegalTransitionError(BookingTasksError):
    """A change of status is not among the allowed transitions."""
