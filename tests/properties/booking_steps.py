"""Every door to a consultant's time: asking, offers, holds by token, series, moves, hand-overs, plans."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.builders import NOW
from tests.properties.base import CONSULTANTS, REQUESTERS, SERVICES, BaseMachine
from tests.properties.fake_effects import Fate

_SPACE = UUID("5eed0002-0000-4000-8000-000000000000")
_FATES: list[Fate] = ["done", "not done", "refused", "lost before", "lost after", "died before", "died after"]

some = st.integers(0, 7)
fates = st.lists(st.sampled_from(_FATES), max_size=6)
services = st.sampled_from(SERVICES)
#: Profiles to choose from: every one lacks something that somebody may want.
PROFILES: list[dict[str, Any]] = [
    {"specializations": ["Algebra", "Topology"], "languages": ["de-AT", "en"]},
    {"specializations": ["algebra"], "languages": ["en"], "max_sessions_per_day": 2},
    {"specializations": ["linear algebra"], "languages": ["de"], "max_minutes_per_week": 150},
    {"specializations": ["algebra", "topology"], "languages": ["en"], "assignment_capacity": 1},
    {"specializations": ["algebra"], "languages": ["de-AT"], "service_type_ids": [str(SERVICES[0])]},
    {"is_available_for_booking": False},
]
#: What a request may want of whoever serves it; and nothing at all.
CRITERIA: list[dict[str, Any]] = [
    {},
    {"required_specializations": ["algebra"]},
    {"required_specializations": ["TOPOLOGY"]},
    {"languages": ["de"]},
]


class BookingSteps(BaseMachine):
    """What callers may do with time, and what time does with it."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[UUID] = []
        #: (request, token) of what was kept by token so far, in order.
        self.holds: list[tuple[str, str]] = []

    @rule(
        service=services,
        who=some,
        preference=some,
        day=st.integers(-8, 7),
        hour=st.integers(0, 23),
        length=some,
        criteria=st.sampled_from(CRITERIA),
        fallback=st.sampled_from(["anyone", "only"]),
    )
    def submit(
        self,
        service: UUID,
        who: int,
        preference: int,
        day: int,
        hour: int,
        length: int,
        criteria: dict[str, Any] | None = None,
        fallback: str = "anyone",
    ) -> None:
        """Ask for a consultation; sometimes with a window, sometimes with somebody in mind."""
        request = uuid5(_SPACE, f"request {len(self.requests)}")
        body: dict[str, Any] = {
            "request_id": str(request),
            "requester_user_id": str(REQUESTERS[who % 3]),
            "service_type_id": str(service),
        }
        if preference < 2:
            body |= {"preferred_consultant_user_id": str(CONSULTANTS[preference]), "fallback": fallback}
        elif preference < 4:
            body["excluded_consultant_user_ids"] = [str(CONSULTANTS[preference - 2])]
        if day >= 0:
            start = NOW.replace(hour=hour) + timedelta(days=day)
            body["preferred_start"] = start.isoformat()
            body["preferred_end"] = (start + timedelta(hours=1 + length * 3)).isoformat()
        self.requests.append(request)
        self.say("submit_request", **body, **(criteria or {}))

    @precondition(lambda self: self.requests)
    @rule(which=some, who=some, task=st.sampled_from(["confirm_request", "decline_request"]))
    def reply(self, which: int, who: int, task: str) -> None:
        """A consultant answers; not always the one who was asked."""
        consultant = str(CONSULTANTS[who % 3])
        self.say(task, request_id=self.request(which), consultant_user_id=consultant)

    @precondition(lambda self: self.offers)
    @rule(which=some, task=st.sampled_from(["accept_offer", "decline_offer"]))
    def reply_to_offer(self, which: int, task: str) -> None:
        """A requester answers what they were offered, now or long ago."""
        request, token = self.offers[-1 - which % len(self.offers)]
        self.say(task, request_id=str(request), hold_token=str(token))

    @precondition(lambda self: self.requests)
    @rule(which=some)
    def withdraw(self, which: int) -> None:
        """The requester needs it no more."""
        self.say("cancel_request", request_id=self.request(which))

    @precondition(lambda self: self.sessions)
    @rule(which=some, day=st.integers(0, 6), half_hours=st.integers(0, 47), offered=st.booleans())
    def move(self, which: int, day: int, half_hours: int, offered: bool) -> None:
        """Move a session: to a start that is offered, or to any time at all."""
        session = self.ahead(which)
        start = NOW.replace(hour=0) + timedelta(days=day, minutes=30 * half_hours)
        if offered:
            free = self.offered(session["consultation_service_type_id"])
            mine = [at for who, at in free if who == session["consultant_user_id"]]
            start = mine[half_hours % len(mine)] if mine else start
        self.say("reschedule_session", session_id=str(session["id"]), new_start=start.isoformat())

    @precondition(lambda self: self.sessions)
    @rule(which=some, by=st.sampled_from(["user", "consultant"]))
    def cancel(self, which: int, by: str) -> None:
        """One side calls it off."""
        self.say("cancel_session", session_id=str(self.session(which)["id"]), cancelled_by=by, reason="ill")

    @rule(who=some, profile=st.sampled_from(PROFILES), zone=st.sampled_from(["UTC", "Pacific/Auckland"]))
    def become(self, who: int, profile: dict[str, Any], zone: str) -> None:
        """A consultant learns, forgets, takes less, or takes no bookings for a while."""
        consultant = str(CONSULTANTS[who % len(CONSULTANTS)])
        self.say("upsert_consultant", consultant_user_id=consultant, time_zone=zone, **profile)

    @rule(service=services, who=some, which=st.integers(0, 400), confirmed=st.booleans())
    def hold(self, service: UUID, who: int, which: int, confirmed: bool) -> None:
        """A requester keeps a start that is offered, and confirms it, or does not."""
        free = self.offered(service)
        if not free:
            return
        consultant, start = free[which % len(free)]
        request = uuid5(_SPACE, f"hold {len(self.sent)}")
        held = self.say(
            "hold_slot",
            request_id=str(request),
            requester_user_id=str(REQUESTERS[who % 3]),
            service_type_id=str(service),
            consultant_user_id=str(consultant),
            start=start.isoformat(),
        )
        self.requests.append(request)
        if not held or not held["hold_token"]:
            return
        self.holds.append((str(request), held["hold_token"]))
        if confirmed:
            self.say("confirm_hold", request_id=str(request), hold_token=held["hold_token"])

    @rule(service=services, who=some, which=st.integers(0, 400), of=st.integers(1, 3))
    def series(self, service: UUID, who: int, which: int, of: int) -> None:
        """A requester books several starts of one consultant, or none."""
        free = self.offered(service)
        if not free:
            return
        consultant = free[which % len(free)][0]
        mine = [start for whose, start in free if whose == consultant]
        starts = {mine[(which + 5 * number) % len(mine)] for number in range(of)}
        self.say(
            "book_series",
            series_id=str(uuid5(_SPACE, f"series {len(self.sent)}")),
            requester_user_id=str(REQUESTERS[who % 3]),
            service_type_id=str(service),
            consultant_user_id=str(consultant),
            starts=[one.isoformat() for one in sorted(starts)],
        )

    @precondition(lambda self: self.sessions)
    @rule(which=some, to=st.none() | some)
    def reassign(self, which: int, to: int | None) -> None:
        """A session is given to another, who is named, or to the best."""
        named = {} if to is None else {"consultant_user_id": str(CONSULTANTS[to % len(CONSULTANTS)])}
        self.say("reassign_session", session_id=str(self.ahead(which)["id"]), reason="ill", **named)

    @precondition(lambda self: self.sessions)
    @rule(which=some, days=st.sampled_from([1, 3, None]), applied=st.booleans(), spared=st.booleans())
    def plan(self, which: int, days: int | None, applied: bool, spared: bool) -> None:
        """A plan for whoever has a session: for some days around it, or for good; looked at, or applied."""
        session = self.ahead(which)
        plan = uuid5(_SPACE, f"plan {len(self.plans)}")
        body: dict[str, Any] = {
            "plan_id": str(plan),
            "consultant_user_id": str(session["consultant_user_id"]),
        }
        if days is not None:
            start = session["scheduled_start_time"].replace(hour=0, minute=0, tzinfo=None)
            body |= {"start": start.isoformat(), "end": (start + timedelta(days=days)).isoformat()}
        if spared and session["status"] == "scheduled" and session["scheduled_start_time"] > NOW:
            body["except_session_ids"] = [str(session["id"])]
        self.plans.append(plan)
        self.say("plan_absence", reason="ill", **body)
        if applied:
            self.say("apply_absence_plan", plan_id=str(plan))

    @precondition(lambda self: self.plans)
    @rule(which=some, task=st.sampled_from(["apply_absence_plan", "undo_absence_plan"]))
    def decide(self, which: int, task: str) -> None:
        """One of the last plans is applied, or undone, in time or too late."""
        self.say(task, plan_id=str(self.plans[-1 - which % min(len(self.plans), 2)]))

    @precondition(lambda self: self.proposals)
    @rule(which=some, accepted=st.booleans())
    def reply_to_proposal(self, which: int, accepted: bool) -> None:
        """A requester answers the time that is kept for them; in time, twice, or too late."""
        proposal = self.proposals[-1 - which % len(self.proposals)]
        self.say("answer_proposal", proposal_id=str(proposal), accepted=accepted)

    @rule(minutes=st.sampled_from([1, 30, 180, 24 * 60, None]))
    def clock(self, minutes: int | None) -> None:
        """The business clock moves on, by a while or to the next thing that is due."""
        to = self.next_due() if minutes is None else self.now() + timedelta(minutes=minutes)
        if to is not None:
            self.step(to)

    @rule(fates=fates)
    def settle(self, fates: list[Fate]) -> None:
        """Everybody catches up, through whatever befalls the first effects."""
        self.come_to_rest(fates)

    @invariant()
    def rows_agree(self) -> None:
        """After every step."""
        self.check_rows()
        self.check_choices()
