"""Who gets which session, so that as many as possible keep their time; and when a plan is told. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

#: So much time an answer needs at the very least.
SHORTEST_ANSWER = timedelta(minutes=10)

Take = Callable[[UUID, UUID], bool]


class Giving:
    """Gives sessions to colleagues, one after the other; who has one already may be moved on for another.

    `choices`: for each session who could take it, best first. `take` takes a session's time with somebody,
    and says whether it was to be had; `free` gives back what was taken for it. What nobody but they can
    tell (limits, buffers, other bookings) stays their judgement: nothing here guesses it.

    Never fewer than one after the other without moving anybody on: whatever was given once stays given, to
    somebody. The most that can be given where a colleague's sessions stand in each other's way one for one
    (limits by number); where one session stands in the way of two it may miss one.
    """

    def __init__(
        self, choices: Mapping[UUID, Sequence[UUID]], take: Take, free: Callable[[UUID], None]
    ) -> None:
        self._choices, self._take, self._free = choices, take, free
        self.given: dict[UUID, UUID] = {}

    def all(self) -> dict[UUID, UUID]:
        """Session -> who gets it. Those with the fewest choices first, so that they do not come too late."""
        for session in sorted(self._choices, key=lambda one: len(self._choices[one])):
            self._place(session, set())
        return self.given

    def _place(self, session: UUID, tried: set[UUID]) -> bool:
        evenly = self._evenly(session)
        return any(self._give(session, who) for who in evenly) or any(
            self._make_room(session, who, tried) for who in evenly
        )

    def _evenly(self, session: UUID) -> list[UUID]:
        """Its choices: whoever has the fewest of these sessions first, of them the best."""
        has = Counter(self.given.values())
        return sorted(self._choices[session], key=lambda who: has[who])

    def _give(self, session: UUID, who: UUID) -> bool:
        if not self._take(session, who):
            return False
        self.given[session] = who
        return True

    def _make_room(self, session: UUID, who: UUID, tried: set[UUID]) -> bool:
        """Give the session to somebody who then hands one of theirs on."""
        if who in tried:
            return False
        tried.add(who)
        for other in [one for one, holder in self.given.items() if holder == who]:
            self._drop(other)
            if self._give(session, who):
                if self._place(other, tried):
                    return True
                self._drop(session)
            if not self._give(other, who):
                raise AssertionError("what was just given back could not be taken again")
        return False

    def _drop(self, session: UUID) -> None:
        self._free(session)
        del self.given[session]


def announce_at(now: datetime, grace: timedelta, starts: Iterable[datetime]) -> datetime:
    """When a plan is told: after the grace, and so long before the first session, as far as there is time."""
    first = min(starts, default=None)
    latest = now + grace if first is None else max(now, first - grace)
    return min(now + grace, latest)


def answer_by(
    announced: datetime, patience: timedelta, session: datetime, proposed: datetime
) -> datetime | None:
    """Until when a requester may answer: before either time comes. None when that is too soon to ask."""
    until = min(announced + patience, session - timedelta(seconds=1), proposed - timedelta(seconds=1))
    return until if until - announced >= SHORTEST_ANSWER else None
