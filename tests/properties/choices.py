"""Who gets whose time, through every door, and nothing else: few things go wrong, so that much is agreed."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from tests.properties.base import CONSULTANTS, SERVICES
from tests.properties.booking_steps import CRITERIA, PROFILES, BookingSteps

#: All day, so that zones, days and weeks differ in what they say.
_HOURS = [{"weekday": day, "start": "00:00", "end": "00:00"} for day in range(1, 8)]


class Choices(BookingSteps):
    """Three consultants who each lack something, and requests that want something."""

    @initialize(first=st.permutations(range(5)), criteria=st.permutations(CRITERIA))
    def open(self, first: list[int], criteria: list[dict[str, Any]]) -> None:
        """Everyone works all day; somebody asks for each of what may be wanted, twice."""
        self.new_book()
        for number, consultant in enumerate(CONSULTANTS):
            self.say("set_availability", consultant_user_id=str(consultant), weekly=_HOURS)
            self.become(number, PROFILES[first[number]], "UTC")
        for who, one in enumerate(criteria * 2):
            self.submit(SERVICES[who % 2], who, preference=7, day=-1, hour=0, length=0, criteria=one)
        self.come_to_rest()
