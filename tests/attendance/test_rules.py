"""Presence, attendance per side, and the verdict: tables first, then what must hold for anything seen."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_tasks.attendance.rules import (
    EARLY,
    SIDES,
    EvidenceItem,
    Interval,
    Trace,
    missing_sides,
    side_attendance,
    trace,
    verdict,
)
from booking_tasks.enums import Attendance, Party
from tests.builders import NOW

AGREED = Interval(NOW, NOW + timedelta(minutes=60))
MINIMUM = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return AGREED.start + timedelta(minutes=minutes)


def joined(minutes: float, party: Party = Party.REQUESTER, source: str = "platform") -> EvidenceItem:
    return EvidenceItem("joined", at(minutes), source, party)


def left(minutes: float, party: Party = Party.REQUESTER, source: str = "platform") -> EvidenceItem:
    return EvidenceItem("left", at(minutes), source, party)


def opened(minutes: float) -> EvidenceItem:
    return EvidenceItem("room_opened", at(minutes), "platform")


def closed(minutes: float, source: str = "platform") -> EvidenceItem:
    return EvidenceItem("room_closed", at(minutes), source)


def reported(minutes: float) -> EvidenceItem:
    return EvidenceItem("report_complete", at(minutes), "platform")


PRESENCE: dict[str, tuple[list[EvidenceItem], list[tuple[float, float]]]] = {
    "nothing was seen": ([], []),
    "a visit": ([joined(5), left(50)], [(5, 50)]),
    "whoever comes early is there from the start": ([joined(-10), left(50)], [(0, 50)]),
    "whoever stays longer is there until the end": ([joined(5), left(75)], [(5, 60)]),
    "a visit before the start does not count": ([joined(-10), left(-2)], []),
    "a visit after the end does not count": ([joined(61), left(80)], []),
    "a joining after the end does not count": ([joined(61)], []),
    "two visits": ([joined(5), left(20), joined(30), left(50)], [(5, 20), (30, 50)]),
    "a reconnect in the same second is one visit": ([joined(5), left(20), joined(20), left(50)], [(5, 50)]),
    "in and out in the same second is no visit": ([joined(5), left(5)], []),
    "a missing leaving lasts until the end": ([joined(5)], [(5, 60)]),
    "a missing leaving lasts until the room closes": ([joined(5), closed(40)], [(5, 40)]),
    "a room that closes before somebody joins ends nothing": ([closed(2), joined(5)], [(5, 60)]),
    "a room that opens again": ([joined(5), closed(20), joined(30), left(50)], [(5, 20), (30, 50)]),
    "a second device keeps somebody there": ([joined(5), joined(10), left(20), left(50)], [(5, 50)]),
    "two sources are laid over each other": (
        [joined(5), left(20), joined(10, source="report"), left(40, source="report")],
        [(5, 40)],
    ),
    "one source lost the leaving": (
        [joined(5), joined(5, source="report"), left(40, source="report")],
        [(5, 60)],
    ),
    "a leaving that was seen outweighs a closing": ([joined(5), closed(30), left(50)], [(5, 50)]),
    "the other source closes the room": ([joined(5), closed(40, source="report")], [(5, 40)]),
    "a lost leaving of an earlier day keeps nobody there": ([joined(-1440)], []),
    "nor hides the visit that was seen": ([joined(-1440), joined(5), left(50)], [(5, 50)]),
    "an early joining with its leaving counts": ([joined(-20), left(30)], [(0, 30)]),
    "a leaving alone is no presence": ([left(30)], []),
    "the other side's visit is not ours": ([joined(5, Party.CONSULTANT), left(50, Party.CONSULTANT)], []),
}


@pytest.mark.parametrize(("seen", "expected"), PRESENCE.values(), ids=PRESENCE.keys())
def test_presence(seen: list[EvidenceItem], expected: list[tuple[float, float]]) -> None:
    assert trace(seen, Party.REQUESTER, AGREED).presence == tuple(Interval(at(a), at(b)) for a, b in expected)


ATTENDED: dict[str, tuple[list[EvidenceItem], Attendance]] = {
    "no evidence at all": ([], Attendance.UNKNOWN),
    "there for most of it": ([joined(5), left(50)], Attendance.ATTENDED),
    "there for just the minimum": ([joined(5), left(6)], Attendance.ATTENDED),
    "there for less, in a room that was watched": ([opened(0), joined(5), left(5.9)], Attendance.ABSENT),
    "there for less, in a room nobody watched": ([joined(5), left(5.9)], Attendance.UNKNOWN),
    "several short visits add up": ([joined(5), left(5.5), joined(10), left(10.5)], Attendance.ATTENDED),
    "the room opened": ([opened(0)], Attendance.ABSENT),
    "the room opened early": ([opened(-15)], Attendance.ABSENT),
    "the room opened on an earlier day": ([opened(-1440)], Attendance.UNKNOWN),
    "the room opened after the end": ([opened(61)], Attendance.UNKNOWN),
    "the room only closed": ([closed(30)], Attendance.UNKNOWN),
    "the other side was there": (
        [joined(5, Party.CONSULTANT), left(20, Party.CONSULTANT)],
        Attendance.ABSENT,
    ),
    "the other side was there for a moment": (
        [joined(5, Party.CONSULTANT), left(5.1, Party.CONSULTANT)],
        Attendance.ABSENT,
    ),
    "the other side came on another day": (
        [joined(-1440, Party.CONSULTANT), left(-1400, Party.CONSULTANT)],
        Attendance.UNKNOWN,
    ),
    "the other side only left": ([left(20, Party.CONSULTANT)], Attendance.UNKNOWN),
    "a complete report after the end": ([reported(60)], Attendance.ABSENT),
    "a complete report before the end": ([reported(59)], Attendance.UNKNOWN),
    "a leaving nobody saw begin": ([opened(0), left(30)], Attendance.UNKNOWN),
    "a leaving before the start nobody saw begin": ([opened(0), left(-5)], Attendance.ABSENT),
    "a joining of an earlier day nobody saw end": ([opened(0), joined(-1440)], Attendance.UNKNOWN),
    "a second joining was lost": ([opened(0), joined(0), left(0.5), left(50)], Attendance.UNKNOWN),
    "the same, delivered backwards": ([left(50), left(0.5), joined(0), opened(0)], Attendance.UNKNOWN),
    "a second joining was lost, a third was not": (
        [opened(0), joined(0), left(0.5), left(20), joined(30), left(30.4)],
        Attendance.UNKNOWN,
    ),
    "a leaving that was reported twice": ([opened(0), joined(0), left(0.5), left(0.6)], Attendance.ABSENT),
    "twice at the limit": ([opened(0), joined(0), left(0.5), left(1.5)], Attendance.ABSENT),
    "twice, beyond the limit": ([opened(0), joined(0), left(0.5), left(1.52)], Attendance.UNKNOWN),
    "three times, counted from the first": (
        [opened(0), joined(0), left(0.5), left(1.3), left(2.1)],
        Attendance.UNKNOWN,
    ),
    "a repeat is of its own source": (
        [opened(0), joined(0), left(0.5), left(0.6, source="report")],
        Attendance.UNKNOWN,
    ),
    "another source lost the joining": (
        [opened(0), joined(0), left(0.5), left(50, source="report")],
        Attendance.UNKNOWN,
    ),
    "the other side left unseen": (
        [opened(0), left(50, Party.CONSULTANT), joined(0), left(0.5)],
        Attendance.ABSENT,
    ),
    "a leaving long before nobody saw begin, and a repeat": (
        [opened(0), joined(-9), left(-8), left(-7.5)],
        Attendance.ABSENT,
    ),
    "a repeat over the start": ([opened(0), joined(-9), left(-0.5), left(0.4)], Attendance.ABSENT),
    "came early, left, and left again": ([opened(0), joined(-9), left(-8), left(50)], Attendance.UNKNOWN),
    "each of two devices left": (
        [opened(0), joined(0), joined(0.1), left(0.3), left(0.5)],
        Attendance.ABSENT,
    ),
    "two devices, three leavings": (
        [opened(0), joined(0), joined(0.1), left(0.3), left(0.5), left(50)],
        Attendance.UNKNOWN,
    ),
    "in and out in the same second, and left again": (
        [opened(0), joined(5), left(5), left(50)],
        Attendance.UNKNOWN,
    ),
    "enough presence stands beside a lost joining": (
        [joined(0), left(10), left(50)],
        Attendance.ATTENDED,
    ),
}


@pytest.mark.parametrize(("seen", "expected"), ATTENDED.values(), ids=ATTENDED.keys())
def test_attendance_of_one_side(seen: list[EvidenceItem], expected: Attendance) -> None:
    assert side_attendance(seen, Party.REQUESTER, AGREED, MINIMUM) == expected


def test_a_lost_second_joining_of_either_side_accuses_nobody() -> None:
    for side, other in zip(SIDES, reversed(SIDES), strict=True):
        seen = [opened(0), joined(0, other), joined(0, side), left(0.5, side), left(50, side)]
        came = {one: side_attendance(seen, one, AGREED, MINIMUM) for one in SIDES}
        assert came == {side: "unknown", other: "attended"}
        assert verdict(came[Party.REQUESTER], came[Party.CONSULTANT]) == "attendance_unknown"


def test_a_session_shorter_than_the_minimum_needs_the_whole_of_it() -> None:
    short = Interval(at(0), at(0.5))
    assert side_attendance([joined(0), left(2)], Party.REQUESTER, short, MINIMUM) == "attended"
    assert side_attendance([opened(0), joined(0), left(0.4)], Party.REQUESTER, short, MINIMUM) == "absent"


VERDICTS: dict[tuple[Attendance, Attendance], str] = {
    (Attendance.ATTENDED, Attendance.ATTENDED): "completed",
    (Attendance.ATTENDED, Attendance.ABSENT): "no_show_consultant",
    (Attendance.ATTENDED, Attendance.UNKNOWN): "attendance_unknown",
    (Attendance.ABSENT, Attendance.ATTENDED): "no_show_user",
    (Attendance.ABSENT, Attendance.ABSENT): "no_show_consultant",
    (Attendance.ABSENT, Attendance.UNKNOWN): "attendance_unknown",
    (Attendance.UNKNOWN, Attendance.ATTENDED): "attendance_unknown",
    (Attendance.UNKNOWN, Attendance.ABSENT): "no_show_consultant",
    (Attendance.UNKNOWN, Attendance.UNKNOWN): "attendance_unknown",
}


@pytest.mark.parametrize(("sides", "expected"), VERDICTS.items())
def test_verdict(sides: tuple[Attendance, Attendance], expected: str) -> None:
    assert verdict(*sides) == expected


def test_the_table_of_verdicts_is_whole() -> None:
    assert set(VERDICTS) == set(product(Attendance, Attendance))


MISSING: dict[str, tuple[list[EvidenceItem], tuple[Party, ...]]] = {
    "nobody watched": ([], ()),
    "nobody came to a room that opened": ([opened(0)], (Party.REQUESTER, Party.CONSULTANT)),
    "one side waits": ([joined(2, Party.CONSULTANT)], (Party.REQUESTER,)),
    "both are there": ([joined(2), joined(3, Party.CONSULTANT)], ()),
    "somebody who came a moment ago is not missing": ([joined(9.9), joined(2, Party.CONSULTANT)], ()),
    "somebody who was there and left is not missing": ([joined(1), left(2), joined(2, Party.CONSULTANT)], ()),
    "somebody who comes after the look is still missing": (
        [joined(12), joined(2, Party.CONSULTANT)],
        (Party.REQUESTER,),
    ),
    "a report made while it runs is no proof": ([reported(10)], ()),
    "who left again after a lost joining is not missing": (
        [opened(0), joined(-9), left(-8), left(5)],
        (Party.CONSULTANT,),
    ),
    "whose leaving alone was seen is not missing": ([left(5), joined(2, Party.CONSULTANT)], ()),
}


@pytest.mark.parametrize(("seen", "expected"), MISSING.values(), ids=MISSING.keys())
def test_missing_sides_at_the_grace_time(seen: list[EvidenceItem], expected: tuple[Party, ...]) -> None:
    assert missing_sides(seen, AGREED, at(10)) == expected


_minutes = st.integers(min_value=-1500, max_value=120)
_source = st.sampled_from(["platform", "report"])
_presence = st.builds(
    lambda evidence_type, minutes, source, party: EvidenceItem(evidence_type, at(minutes), source, party),
    st.sampled_from(["joined", "left"]),
    _minutes,
    _source,
    st.sampled_from(SIDES),
)
_room = st.builds(
    lambda evidence_type, minutes, source: EvidenceItem(evidence_type, at(minutes), source),
    st.sampled_from(["room_opened", "room_closed", "report_complete"]),
    _minutes,
    _source,
)
_anything = st.lists(_presence | _room, max_size=12)


@given(_anything, st.randoms(use_true_random=False), st.sampled_from(SIDES))
def test_order_and_repeats_do_not_matter(seen: list[EvidenceItem], random: object, party: Party) -> None:
    again = [*seen, *seen[: len(seen) // 2]]
    random.shuffle(again)  # type: ignore[attr-defined]
    assert trace(again, party, AGREED) == trace(seen, party, AGREED)
    assert side_attendance(again, party, AGREED, MINIMUM) == side_attendance(seen, party, AGREED, MINIMUM)


@given(_anything, st.sampled_from(SIDES))
def test_presence_lies_in_order_inside_the_agreed_time(seen: list[EvidenceItem], party: Party) -> None:
    presence = trace(seen, party, AGREED).presence
    assert all(AGREED.start <= one.start < one.end <= AGREED.end for one in presence)
    assert all(a.end < b.start for a, b in pairwise(presence))


@given(st.lists(st.builds(lambda m: EvidenceItem("room_closed", at(m), "platform"), _minutes), max_size=4))
def test_without_evidence_of_people_or_of_watching_it_is_always_unknown(seen: list[EvidenceItem]) -> None:
    sides = [side_attendance(seen, party, AGREED, MINIMUM) for party in SIDES]
    assert sides == ["unknown", "unknown"]
    assert verdict(sides[0], sides[1]) == "attendance_unknown"


@given(_anything, st.sampled_from(SIDES))
def test_nobody_is_absent_without_proof_that_the_room_was_watched(
    seen: list[EvidenceItem], party: Party
) -> None:
    if side_attendance(seen, party, AGREED, MINIMUM) != "absent":
        return
    other = next(one for one in SIDES if one != party)
    assert not trace(seen, party, AGREED).unclear
    assert trace(seen, other, AGREED) != Trace((), unclear=False) or any(
        one.evidence_type in {"room_opened", "report_complete"} and one.at >= AGREED.start - EARLY
        for one in seen
    )


@given(_anything, st.sampled_from(SIDES), st.integers(0, 50))
def test_more_presence_never_makes_an_attended_side_absent(
    seen: list[EvidenceItem], party: Party, start: int
) -> None:
    more = [*seen, joined(start, party, "witness"), left(start + 5, party, "witness")]
    assert side_attendance(more, party, AGREED, MINIMUM) == "attended"


def _visits_of(party: Party, source: str) -> st.SearchStrategy[list[tuple[EvidenceItem, EvidenceItem]]]:
    """Return visits of one side as one source saw them: in order, none inside another, two minutes apart."""
    return st.lists(st.integers(-10, 60), unique=True, max_size=8).map(
        lambda marks: [
            (joined(2 * a, party, source), left(2 * b, party, source))
            for a, b in list(pairwise(sorted(marks)))[::2]
        ]
    )


@given(_visits_of(Party.REQUESTER, "platform"), _visits_of(Party.REQUESTER, "report"), st.data())
def test_lost_joinings_never_make_a_side_absent(
    platform: list[tuple[EvidenceItem, EvidenceItem]],
    report: list[tuple[EvidenceItem, EvidenceItem]],
    data: st.DataObject,
) -> None:
    visits = [*platform, *report]
    lost = data.draw(st.sets(st.sampled_from(visits))) if visits else set()
    whole = [opened(0), *(one for visit in visits for one in visit)]
    received = [opened(0), *(one for visit in visits for one in (visit[1:] if visit in lost else visit))]
    if side_attendance(whole, Party.REQUESTER, AGREED, MINIMUM) == "attended":
        assert side_attendance(received, Party.REQUESTER, AGREED, MINIMUM) != "absent"


@given(_anything, st.sampled_from(SIDES), st.integers(0, 100), st.integers(0, 60))
def test_a_repeated_leaving_changes_nothing(
    seen: list[EvidenceItem], party: Party, minute: int, seconds: int
) -> None:
    visit = [joined(minute - 1, party, "camera"), left(minute, party, "camera")]
    again = left(minute + seconds / 60, party, "camera")
    assert trace([*seen, *visit, again], party, AGREED) == trace([*seen, *visit], party, AGREED)
