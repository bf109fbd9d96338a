"""The commands of the administration: people, service types, policies, aliases and leave, in any order."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.builders import NOW
from tests.properties.base import CONSULTANTS, HORIZON_DAYS, REQUESTERS, SERVICES
from tests.properties.booking_steps import BookingSteps, services, some

_SPACE = UUID("5eed0003-0000-4000-8000-000000000000")
#: What one consultant may do differently; the first takes it all away.
POLICIES: list[dict[str, Any]] = [
    {},
    {"duration_minutes": 45, "buffer_after_minutes": 0},
    {"minimum_notice_minutes": 600, "horizon_days": 3},
    {"max_sessions_per_day": 1},
    {"requires_confirmation": True},
]
#: What a kind of consultation may become.
SERVICE_CHANGES: list[dict[str, Any]] = [
    {"default_duration_minutes": 60},
    {"default_duration_minutes": 30, "slot_step_minutes": 20, "buffer_before_minutes": 15},
    {"default_duration_minutes": 90, "minimum_notice_minutes": 120, "waiting_list": "book"},
    {"default_duration_minutes": 60, "when_all_declined": "reject", "confirmation_minutes": 30},
]
ALIASES = [[], [("linear algebra", "algebra")], [("topology", "algebra")]]


class AdminSteps(BookingSteps):
    """The doors to a consultant's time, and all that says how wide they are."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves: list[tuple[UUID, UUID]] = []

    @rule(who=some, day=st.integers(0, 6), hour=st.integers(0, 23), hours=st.sampled_from([1, 5, 48]))
    def leave(self, who: int, day: int, hour: int, hours: int) -> None:
        """A consultant is away for a while, whatever is agreed in it."""
        consultant, start = CONSULTANTS[who % 3], NOW.replace(hour=hour, tzinfo=None) + timedelta(days=day)
        leave = uuid5(_SPACE, f"leave {len(self.sent)}")
        self.leaves.append((leave, consultant))
        self.say(
            "add_leave",
            leave_id=str(leave),
            consultant_user_id=str(consultant),
            reason="ill",
            start=start.isoformat(),
            end=(start + timedelta(hours=hours)).isoformat(),
        )

    @precondition(lambda self: self.leaves)
    @rule(which=some)
    def come_back(self, which: int) -> None:
        """A leave is over before its time, or was never known, when whoever took it died."""
        leave, consultant = self.leaves[which % len(self.leaves)]
        self.say("remove_leave", leave_id=str(leave), consultant_user_id=str(consultant))

    @rule(service=services, who=some, policy=st.sampled_from(POLICIES))
    def differ(self, service: UUID, who: int, policy: dict[str, Any]) -> None:
        """One consultant does one kind differently."""
        self.say(
            "set_consultant_policy",
            consultant_user_id=str(CONSULTANTS[who % 3]),
            service_type_id=str(service),
            **policy,
        )

    @rule(service=services, changes=st.sampled_from(SERVICE_CHANGES))
    def redefine(self, service: UUID, changes: dict[str, Any]) -> None:
        """A kind of consultation becomes longer, shorter, tighter."""
        self.say(
            "upsert_service_type",
            service_type_id=str(service),
            name=f"kind {SERVICES.index(service)}",
            requires_confirmation=service == SERVICES[1],
            horizon_days=HORIZON_DAYS,
            **changes,
        )

    @rule(aliases=st.sampled_from(ALIASES))
    def rename(self, aliases: list[tuple[str, str]]) -> None:
        """Other words mean the same."""
        pairs = [{"alias": alias, "specialization": word} for alias, word in aliases]
        self.say("set_specialization_aliases", aliases=pairs)

    @rule(who=some, zone=st.sampled_from(["UTC", "Europe/Vienna"]), language=st.sampled_from(["en", "de"]))
    def tell(self, who: int, zone: str, language: str) -> None:
        """A person moves, or prefers another language."""
        person = (*CONSULTANTS, *REQUESTERS)[who % 6]
        self.say(
            "upsert_user",
            user_id=str(person),
            name="Somebody",
            email=f"{person}@example.org",
            time_zone=zone,
            language=language,
        )

    @precondition(lambda self: self.holds)
    @rule(which=some, task=st.sampled_from(["renew_hold", "release_hold", "confirm_hold"]))
    def keep(self, which: int, task: str) -> None:
        """A requester goes on with a start that is kept for them; in time, twice, or too late."""
        request, token = self.holds[-1 - which % min(len(self.holds), 3)]
        self.say(task, request_id=request, hold_token=token)
