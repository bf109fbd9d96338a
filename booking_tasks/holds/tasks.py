"""The public tasks of holds."""

from __future__ import annotations

from booking_tasks.contracts import ConfirmHold, HoldSlot, ReleaseHold, RenewHold
from booking_tasks.holds import service
from booking_tasks.inbox.receiver import accepts

hold_slot = accepts(HoldSlot)(service.hold_slot)
renew_hold = accepts(RenewHold)(service.renew_hold)
release_hold = accepts(ReleaseHold)(service.release_hold)
confirm_hold = accepts(ConfirmHold)(service.confirm_hold)
