"""Errors that cross rooms: what to do with a failed effect, and with a wrong start."""

from __future__ import annotations


class BookingTasksError(Exception):
    """Root of every error this package raises on purpose."""


class SettingsError(BookingTasksError):
    """A setting is missing or wrong; the message names the variable and the remedy, one line each."""


class EffectError(BookingTasksError):
    """An outside effect (mail, meeting, event) did not certainly happen."""


class EffectNotDoneError(EffectError):
    """The effect certainly did not happen; trying again later may succeed."""


class EffectRefusedError(EffectError):
    """The target refused for good; trying again cannot succeed."""


class EffectUnknownError(EffectError):
    """The effect may or may not have happened: the reply was lost."""


class LostLeaseError(BookingTasksError):
    """The job's lease ran out and someone else may hold it: nothing may be written under it."""


class IllegalTransitionError(BookingTasksError):
    """A state machine was asked for a step that its table does not allow."""
