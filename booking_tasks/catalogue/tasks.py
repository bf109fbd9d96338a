"""The catalogue's public tasks."""

from __future__ import annotations

from booking_tasks.catalogue import service
from booking_tasks.contracts import SetSpecializationAliases, UpsertConsultant, UpsertServiceType
from booking_tasks.inbox.tasks import accepts

upsert_service_type = accepts(UpsertServiceType)(service.upsert_service_type)
upsert_consultant = accepts(UpsertConsultant)(service.upsert_consultant)
set_specialization_aliases = accepts(SetSpecializationAliases)(service.set_specialization_aliases)
