"""The public tasks about a person as a whole."""

from __future__ import annotations

from booking_tasks.contracts import ExportUser, ForgetUser
from booking_tasks.forgetting import export, service
from booking_tasks.inbox.receiver import accepts, answers

forget_user = accepts(ForgetUser, one_snapshot=True)(service.forget_user)
export_user = answers(ExportUser, one_snapshot=True)(export.export_user)
