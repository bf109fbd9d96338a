"""The public tasks of the catalogue, of consultants' own policies and of the directory of people."""

from __future__ import annotations

from booking_tasks.catalogue import directory, policies, service
from booking_tasks.contracts import (
    SetConsultantPolicy,
    SetSpecializationAliases,
    UpsertConsultant,
    UpsertServiceType,
    UpsertUser,
)
from booking_tasks.inbox.receiver import accepts

upsert_service_type = accepts(UpsertServiceType)(service.upsert_service_type)
upsert_consultant = accepts(UpsertConsultant)(service.upsert_consultant)
set_specialization_aliases = accepts(SetSpecializationAliases)(service.set_specialization_aliases)
set_consultant_policy = accepts(SetConsultantPolicy)(policies.set_consultant_policy)
upsert_user = accepts(UpsertUser)(directory.upsert_user)
