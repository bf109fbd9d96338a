"""Service types, consultants, policies and people: commands of the admin queue."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, Field

from booking_tasks.contracts.base import (
    Command,
    Contract,
    HolidayRegion,
    Ids,
    Languages,
    Line,
    Outcome,
    Prose,
    PublicQueue,
    Specializations,
    ZoneName,
)
from booking_tasks.contracts.hours import UncoveredSession
from booking_tasks.enums import RefusalCode, WaitingList, WhenAllDeclined
from booking_tasks.kit.addresses import is_usable

ServiceTypeCode = Literal[
    RefusalCode.NAME_TAKEN,
    RefusalCode.CONTRADICTORY_WEIGHTS,
]
PolicyCode = Literal[
    RefusalCode.UNKNOWN_CONSULTANT,
    RefusalCode.UNKNOWN_SERVICE_TYPE,
]
ConsultantCode = Literal[
    RefusalCode.UNKNOWN_HOLIDAY_REGION,
    RefusalCode.UNKNOWN_SERVICE_TYPE,
]
AliasesCode = Literal[RefusalCode.CONTRADICTORY_ALIASES,]
UserCode = Literal[RefusalCode.ADDRESS_OF_SERVICE,]


def _usable_address(address: str) -> str:
    if not is_usable(address):
        raise ValueError("must be one plain mail address such as mira@example.org, without a name")
    return address


#: A number of sessions or minutes; the largest is more than a week has.
Limit = Annotated[int, Field(ge=1, le=20_000)]


#: A weight of the assignment's score.
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class TermWeights(Contract):
    """Weights of the assignment's score that differ from the deployment's settings.

    docs/assignment.md explains the terms.
    """

    preference: Weight | None = None
    priority: Weight | None = None
    fairness: Weight | None = None
    earliest: Weight | None = None
    specialization: Weight | None = None
    continuity: Weight | None = None
    local_time: Weight | None = None


class ServiceTypeOutcome(Outcome[ServiceTypeCode]):
    """The service type as stored."""

    service_type_id: UUID | None = None
    sessions_ahead: int | None = Field(
        None, description="When it is inactive: how many sessions of it lie ahead; they are not cancelled."
    )


class UpsertServiceType(Command[ServiceTypeOutcome]):
    """Create or change a service type; durations and buffers are minutes of elapsed time.

    The limits apply to each consultant and count only sessions of this service type, held or booked, by the
    day on which they start in the consultant's zone; weeks begin on Monday. None: no limit.

    A consultant who must confirm has `confirmation_minutes` to answer (None: the deployment's setting), and
    at most until the start. When all eligible consultants were asked and declined or did not answer,
    `when_all_declined` decides: the request waits for another one until its deadline, or is rejected at once.

    `waiting_list`: released time is offered to the best waiting request and held until its requester answers
    (`offer`), or booked for it at once (`book`).

    Codes when refused: `name_taken`, `contradictory_weights` (they could not rank candidates).
    """

    task: ClassVar[str] = "upsert_service_type"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = ServiceTypeOutcome

    service_type_id: UUID
    name: Line
    description: Prose | None = None
    default_duration_minutes: int = Field(ge=1, le=1440)
    slot_step_minutes: int = Field(30, ge=1, le=1440)
    buffer_before_minutes: int = Field(0, ge=0, le=1440)
    buffer_after_minutes: int = Field(0, ge=0, le=1440)
    minimum_notice_minutes: int = Field(0, ge=0, le=525_600)
    horizon_days: int = Field(90, ge=1, le=730)
    requires_confirmation: bool = False
    confirmation_minutes: int | None = Field(None, ge=1, le=525_600)
    when_all_declined: WhenAllDeclined = WhenAllDeclined.WAIT
    max_sessions_per_day: Limit | None = None
    max_sessions_per_week: Limit | None = None
    max_minutes_per_day: Limit | None = None
    max_minutes_per_week: Limit | None = None
    waiting_list: WaitingList = WaitingList.OFFER
    assignment_weights: TermWeights | None = None
    is_active: bool = True


class PolicyOutcome(Outcome[PolicyCode]):
    """The consultant and the service type of the policy."""

    consultant_user_id: UUID | None = None
    service_type_id: UUID | None = None


class SetConsultantPolicy(Command[PolicyOutcome]):
    """Set what differs for one consultant and one service type; None is the service type's value.

    The whole policy is replaced; all None removes it. Sessions and holds stay as they are. Codes when
    refused: `unknown_consultant`, `unknown_service_type`.
    """

    task: ClassVar[str] = "set_consultant_policy"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = PolicyOutcome

    consultant_user_id: UUID
    service_type_id: UUID
    duration_minutes: int | None = Field(None, ge=1, le=1440)
    slot_step_minutes: int | None = Field(None, ge=1, le=1440)
    buffer_before_minutes: int | None = Field(None, ge=0, le=1440)
    buffer_after_minutes: int | None = Field(None, ge=0, le=1440)
    minimum_notice_minutes: int | None = Field(None, ge=0, le=525_600)
    horizon_days: int | None = Field(None, ge=1, le=730)
    requires_confirmation: bool | None = None
    max_sessions_per_day: Limit | None = None
    max_sessions_per_week: Limit | None = None
    max_minutes_per_day: Limit | None = None
    max_minutes_per_week: Limit | None = None


class ConsultantOutcome(Outcome[ConsultantCode]):
    """The consultant as stored."""

    consultant_user_id: UUID | None = None
    uncovered: tuple[UncoveredSession, ...] = Field(
        (), description="After a change: sessions that the profile and the hours no longer cover, and why."
    )


class UpsertConsultant(Command[ConsultantOutcome]):
    """Create or change a consultant's profile. Their hours are read in `time_zone`.

    On the public holidays of `holiday_region` (ISO 3166: a country like AT, or a part of one like DE-BY)
    weekly and recurring hours do not count. `service_type_ids` are what they offer and `company_ids` are for
    whom; None is all. Requests are distributed in proportion to `assignment_weight`; `assignment_capacity` is
    the most future sessions and holds that assignment may give them; tier 1 is chosen first.

    The limits count sessions of all service types, held or booked, in addition to the limits of each type, by
    the day on which they start in `time_zone`; weeks begin on Monday. None: no limit. Codes when refused:
    `unknown_holiday_region`, `unknown_service_type`.
    """

    task: ClassVar[str] = "upsert_consultant"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = ConsultantOutcome

    consultant_user_id: UUID
    time_zone: ZoneName
    bio: Prose | None = None
    specializations: Specializations = ()
    is_available_for_booking: bool = True
    holiday_region: HolidayRegion | None = None
    service_type_ids: Ids | None = None
    company_ids: Ids | None = None
    languages: Languages = ()
    assignment_weight: Decimal = Field(Decimal(1), gt=0, le=1000, decimal_places=3)
    assignment_capacity: int | None = Field(None, ge=1, le=10_000)
    priority_tier: int = Field(3, ge=1, le=5)
    max_sessions_per_day: Limit | None = None
    max_sessions_per_week: Limit | None = None
    max_minutes_per_day: Limit | None = None
    max_minutes_per_week: Limit | None = None


class AliasesOutcome(Outcome[AliasesCode]):
    """The number of aliases after the command."""

    count: int | None = None


class AliasEntry(Contract):
    """Another name of a specialization; case does not matter."""

    alias: Line
    specialization: Line


class SetSpecializationAliases(Command[AliasesOutcome]):
    """Replace all aliases of specializations, which apply wherever specializations are compared.

    Code when refused: `contradictory_aliases` (an alias of itself, of two, or of another alias).
    """

    task: ClassVar[str] = "set_specialization_aliases"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = AliasesOutcome

    aliases: Annotated[tuple[AliasEntry, ...], Field(max_length=10_000)]


class UserOutcome(Outcome[UserCode]):
    """The person as stored."""

    user_id: UUID | None = None


class UpsertUser(Command[UserOutcome]):
    """Create or change the directory entry of a requester or consultant.

    Code when refused: `address_of_service` (`email` leads to the mailbox that invitations come from).
    """

    task: ClassVar[str] = "upsert_user"
    queue: ClassVar[PublicQueue] = "admin"
    outcome: ClassVar[type[Outcome]] = UserOutcome

    user_id: UUID
    name: Line
    email: Annotated[str, AfterValidator(_usable_address)]
    time_zone: ZoneName
    language: Literal["en", "de"] = "en"
