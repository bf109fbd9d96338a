"""The rules of absence plans: allowed changes of state, distribution of sessions, deadlines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from booking_tasks.enums import StepState

#: A step in one of these states still keeps time in the slot ledger for its plan.
UNDER_WAY = (StepState.APPLIED, StepState.OFFERED)

#: A requester has at least this much time to answer a proposal; otherwise nothing is proposed.
SHORTEST_ANSWER_TIME = timedelta(minutes=10)

Reserve = Callable[[UUID, UUID], bool]


class Distribution:
    """Distributes sessions over colleagues, one session after the other.

    A colleague who already has a session may pass it on to another colleague to take a new one. `choices`
    are, for each session, the consultants who could take it, best first. `reserve` reserves a session's time
    with a consultant and returns whether that succeeded; `release` releases what was reserved for a session.
    Limits, buffers and other bookings are decided by `reserve` alone: nothing here guesses them.

    The result never has fewer sessions than one after the other without passing on: an assigned session
    stays assigned, to somebody. It has the most possible sessions where the sessions of a colleague exclude
    each other one for one (limits by number); where one session excludes two others it may miss one.
    """

    def __init__(
        self, choices: Mapping[UUID, Sequence[UUID]], reserve: Reserve, release: Callable[[UUID], None]
    ) -> None:
        self._choices, self._reserve, self._release = choices, reserve, release
        self.assigned: dict[UUID, UUID] = {}

    def distribute(self) -> dict[UUID, UUID]:
        """Assign the sessions with the fewest choices first; return the consultant of each session."""
        for session in sorted(self._choices, key=lambda one: len(self._choices[one])):
            self._assign(session, set())
        return self.assigned

    def _assign(self, session: UUID, tried: set[UUID]) -> bool:
        by_load = self._by_load(session)
        return any(self._try_assign(session, who) for who in by_load) or any(
            self._try_displace(session, who, tried) for who in by_load
        )

    def _by_load(self, session: UUID) -> list[UUID]:
        """The choices of a session: those with the fewest of these sessions first, then the best."""
        load = Counter(self.assigned.values())
        return sorted(self._choices[session], key=lambda who: load[who])

    def _try_assign(self, session: UUID, who: UUID) -> bool:
        if not self._reserve(session, who):
            return False
        self.assigned[session] = who
        return True

    def _try_displace(self, session: UUID, who: UUID, tried: set[UUID]) -> bool:
        """Assign the session to a consultant who then passes one of their sessions on."""
        if who in tried:
            return False
        tried.add(who)
        for other in [one for one, holder in self.assigned.items() if holder == who]:
            self._unassign(other)
            if self._try_assign(session, who):
                if self._assign(other, tried):
                    return True
                self._unassign(session)
            if not self._try_assign(other, who):
                raise AssertionError("time that was just released could not be reserved again")
        return False

    def _unassign(self, session: UUID) -> None:
        self._release(session)
        del self.assigned[session]


def announce_at(now: datetime, grace: timedelta, starts: Iterable[datetime]) -> datetime:
    """When a plan is announced: after the grace, and if possible one grace before the first start."""
    first = min(starts, default=None)
    latest = now + grace if first is None else max(now, first - grace)
    return min(now + grace, latest)


def answer_deadline(
    announced: datetime, answer_time: timedelta, session_start: datetime, proposed_start: datetime
) -> datetime | None:
    """The end of a requester's time to answer, before both starts; None when it would be too short."""
    last_moment = min(session_start, proposed_start) - timedelta(seconds=1)
    until = min(announced + answer_time, last_moment)
    return until if until - announced >= SHORTEST_ANSWER_TIME else None
