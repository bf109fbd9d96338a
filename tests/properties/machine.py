"""All use cases in any order, with failures, after which all invariants must still hold.

Wake-ups are doubled, reordered and dropped, effects fail, and workers die.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from booking_tasks.outbox.jobs import JOB_TYPES
from tests.builders import NOW
from tests.properties.base import CONSULTANTS, SWEEPS
from tests.properties.booking_steps import fates, services, some
from tests.properties.fake_effects import Fate
from tests.properties.inbound_steps import InboundSteps

#: Weekly hours to choose from.
HOURS: list[list[dict[str, Any]]] = [
    [{"weekday": day, "start": "09:00", "end": "12:00"} for day in (2, 3, 4)],
    [{"weekday": day, "start": "10:30", "end": "11:30"} for day in (3, 5)],
    [{"weekday": 2, "start": "22:00", "end": "03:00"}],
    [{"weekday": day, "start": "00:00", "end": "00:00"} for day in range(1, 8)],
    [],
]
ZONES = ["UTC", "Europe/Vienna", "Pacific/Auckland"]

names = st.sampled_from([*JOB_TYPES, *SWEEPS])


class Life(InboundSteps):
    """What may happen, in any order."""

    @initialize(
        requests=st.lists(st.tuples(services, some), min_size=1, max_size=4),
        agreed=st.none() | fates,
        doomed=st.none() | st.tuples(st.integers(0, 12), st.booleans()),
    )
    def open(
        self, requests: list[tuple[UUID, int]], agreed: list[Fate] | None, doomed: tuple[int, bool] | None
    ) -> None:
        """The consultants declare their hours and somebody asks for something; mostly it is agreed."""
        self.new_book()
        for consultant in CONSULTANTS:
            self.say("set_availability", consultant_user_id=str(consultant), weekly=HOURS[0])
        for service, who in requests:
            self.submit(service, who, preference=7, day=-1, hour=0, length=0)
        if agreed is not None:
            self.come_to_rest(agreed)
        self.edge.deadly_commit = doomed

    # -- what callers do -----------------------------------------------------------------------------

    @rule(which=some, of=some)
    def repeat(self, which: int, of: int) -> None:
        """Send any message again: who had an answer gets the very same."""
        number = (which * 8 + of) % len(self.sent)
        task, message, answer = self.sent[number]
        again = self.answer(task, message)
        if answer is not None and again is not None:
            assert again == answer
        self.sent[number] = (task, message, answer or again)

    @rule(which=some)
    def reuse(self, which: int) -> None:
        """Use an answered message's id for something else."""
        task, message, answer = self.sent[which % len(self.sent)]
        if answer is not None:
            other = self.answer(task, message | {"actor": "somebody else"})
            assert other is None or other["code"] == "conflict"

    @rule(who=some, week=st.sampled_from(HOURS))
    def hours(self, who: int, week: list[dict[str, Any]]) -> None:
        """A consultant declares other hours."""
        self.say("set_availability", consultant_user_id=str(CONSULTANTS[who % 3]), weekly=week)

    @rule(who=some, zone=st.sampled_from(ZONES), bookable=st.booleans())
    def profile(self, who: int, zone: str, bookable: bool) -> None:
        """A consultant moves, or takes no bookings for a while."""
        consultant = str(CONSULTANTS[who % 3])
        self.say(
            "upsert_consultant",
            consultant_user_id=consultant,
            time_zone=zone,
            is_available_for_booking=bookable,
        )

    @precondition(lambda self: self.sessions)
    @rule(
        which=some,
        evidence_type=st.sampled_from(["joined", "left", "room_opened", "room_closed"]),
        minute=st.integers(-20, 80),
        side=st.sampled_from(["requester", "consultant"]),
        platform=st.booleans(),
        complete=st.booleans(),
    )
    def see(
        self, which: int, evidence_type: str, minute: int, side: str, platform: bool, complete: bool
    ) -> None:
        """Something is seen of a room, by the platform or by somebody else."""
        session = self.session(which)
        at = session["scheduled_start_time"] + timedelta(minutes=minute)
        if platform:
            who = session[f"{side}_user_id"] if evidence_type in {"joined", "left"} else None
            self.edge.platform.see(session["id"], evidence_type, at, who)
            if complete:
                self.edge.platform.complete.add(session["id"])
            return
        seen = {
            "evidence_type": evidence_type,
            "observed_at": at.isoformat(),
            "external_id": f"{evidence_type} {minute}",
        }
        if evidence_type in {"joined", "left"}:
            seen["party"] = side
        session_id = str(session["id"])
        self.say("record_attendance", session_id=session_id, source="lobby", observations=[seen])

    @precondition(lambda self: self.sessions)
    @rule(which=some, came=st.sampled_from(["attended", "absent", None]), billed=st.booleans())
    def conclude(self, which: int, came: str | None, billed: bool) -> None:
        """Notes, a correction, a bill."""
        session_id = str(self.session(which)["id"])
        if billed:
            self.say("record_billing", session_id=session_id, currency="EUR", billed_amount="20.00")
        else:
            self.say("record_outcome", session_id=session_id, notes="noted", requester_attendance=came)

    # -- what time, beats and workers do ----------------------------------------------------------------

    @rule(tasks=st.lists(names, min_size=1, max_size=4), fates=fates)
    def work(self, tasks: list[str], fates: list[Fate]) -> None:
        """Bells that nobody rang, or that rang twice or late; effects that go wrong."""
        for name in tasks:
            self.edge.will.fates = list(fates)
            self.run(name)
        self.edge.calm()

    @rule(order=st.randoms(use_true_random=False), fates=fates)
    def hear(self, order: Any, fates: list[Fate]) -> None:
        """Deliver wake-ups in another order, some of them twice, some not at all."""
        heard = [name for name in self.edge.wakeups for _ in range(order.randint(0, 2))]
        self.edge.wakeups.clear()
        order.shuffle(heard)
        if heard:
            self.work(heard, fates)

    @rule(commits=st.integers(0, 12), arrives=st.booleans())
    def doom(self, commits: int, arrives: bool) -> None:
        """Whoever makes a certain commit from now on dies in it; it arrives, or not."""
        self.edge.deadly_commit = (commits, arrives)

    @rule()
    def wait(self) -> None:
        """Real time goes by."""
        self.let_time_pass()

    # -- what must be true ----------------------------------------------------------------------------------

    @rule(service=services, which=st.integers(0, 400), day=st.integers(0, 7), half_hours=st.integers(0, 47))
    def offer(self, service: UUID, which: int, day: int, half_hours: int) -> None:
        """In one snapshot a start can be booked if and only if it is offered."""
        free = self.offered(service)
        any_start = NOW.replace(hour=0) + timedelta(days=day, minutes=30 * half_hours)
        tries = [(CONSULTANTS[which % 3], any_start)]
        if free:
            tries.append(free[which % len(free)])
        for who, start in tries:
            assert self.bookable(service, who, start) == ((who, start) in free)
