"""The public task of consultants' own policies."""

from __future__ import annotations

from booking_tasks.contracts import SetConsultantPolicy
from booking_tasks.inbox.tasks import accepts
from booking_tasks.policies import service

set_consultant_policy = accepts(SetConsultantPolicy)(service.set_consultant_policy)
