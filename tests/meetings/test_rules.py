from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from booking_tasks.kit.ids import uuid7
from booking_tasks.meetings.rules import (
    AttendanceReport,
    KnownSession,
    ListedRoom,
    checked_join_url,
    differences,
    evidence_of,
    link_events,
)
from tests.builders import NOW

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "url",
    [
        "https://meet.example.org/r/abc?x=1#y",
        "https://meet.example.org:8443/r",
        "https://[2001:db8::1]/r",
        "http://127.0.0.1:8099/join/x",
        "http://localhost/join/x",
        "http://[::1]:80/join/x",
    ],
)
def test_a_link_over_tls_or_on_this_machine_is_believed(url: str) -> None:
    assert checked_join_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://meet.example.org/r",
        "http://127.0.0.1.example.org/r",
        "http://localhost.example.org/r",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://meet.example.org/r",
        "//meet.example.org/r",
        "https:///r",
        "https://meet.example.org:99999/r",
        "https://[::1/r",
        "https://good.example.org@evil.example.org/r",
        "https://user:word@meet.example.org/r",
        "https://evil.example.org\\@good.example.org/r",
        "https://meet.example.org/a b",
        "https://meet.example.org/a\r\nATTENDEE:mailto:x@example.org",
        "https://meet.example.org/\x00",
        "https://meet.example.org/\u202egpj",
        "https://meet.example.org/<script>",
        'https://meet.example.org/"onclick',
        "",
    ],
)
def test_a_link_that_could_mislead_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        checked_join_url(url)


@pytest.mark.parametrize(
    ("previous", "invited", "announced", "events"),
    [
        (None, False, False, ("session.meeting_ready",)),
        (None, True, False, ("session.link_changed", "session.meeting_ready")),
        ("old", True, True, ("session.link_changed",)),
        ("old", False, False, ("session.link_changed",)),
        ("new", True, False, ("session.meeting_ready",)),
        ("new", True, True, ()),
    ],
)
def test_people_hear_of_every_link_they_do_not_have(
    previous: str | None, invited: bool, announced: bool, events: tuple[str, ...]
) -> None:
    assert link_events(previous, "new", invited=invited, announced=announced) == events


def test_strangers_and_unnamed_guests_are_no_evidence() -> None:
    mira, okafor = uuid7(), uuid7()
    report = AttendanceReport.model_validate_json(
        f"""{{"complete": true, "observations": [
            {{"id": "1", "evidence_type": "room_opened", "observed_at": "2027-03-01T09:00:00Z"}},
            {{"id": "2", "evidence_type": "joined", "user_id": "{str(mira).upper()}",
              "observed_at": "2027-03-01T09:00:01Z"}},
            {{"id": "3", "evidence_type": "joined", "user_id": "guest",
              "observed_at": "2027-03-01T09:00:02Z"}},
            {{"id": "4", "evidence_type": "left", "observed_at": "2027-03-01T09:00:03Z"}},
            {{"id": "5", "evidence_type": "left", "user_id": "{okafor}",
              "observed_at": "2027-03-01T10:00:00Z"}}
        ]}}"""
    )
    found = evidence_of(report, {mira: "requester", okafor: "consultant"}, NOW)
    assert [(one.evidence_type, one.party, one.external_id) for one in found] == [
        ("room_opened", None, "seen:1"),
        ("joined", "requester", "seen:2"),
        ("left", "consultant", "seen:5"),
        ("report_complete", None, "report_complete"),
    ]


def _session(**values: object) -> KnownSession:
    plain = KnownSession(uuid7(), 0, "scheduled", NOW, NOW + HOUR, settled=True)
    return replace(plain, **values)  # type: ignore[arg-type]


def _room(session: KnownSession) -> ListedRoom:
    return ListedRoom(session_id=session.id, starts_at=session.starts_at, ends_at=session.ends_at)


def test_rooms_and_sessions_that_do_not_agree_are_found_both_ways() -> None:
    fine, lost, moved = _session(), _session(), _session()
    cancelled = _session(status="cancelled_by_user")
    stranger = _session()
    stale = replace(moved, starts_at=NOW - HOUR)
    listed = [_room(fine), _room(stale), _room(cancelled), _room(stranger)]
    found = differences(listed, [fine, lost, moved, cancelled])
    assert found.orphans == (cancelled,)
    assert found.missing == (lost, moved)
    assert found.unknown_rooms == (stranger.id,)


def test_work_under_way_is_left_alone() -> None:
    closing = _session(status="completed", settled=False)
    making = _session(settled=False)
    held = _session(status="in_progress")
    found = differences([_room(closing)], [closing, making, held])
    assert (found.orphans, found.missing, found.unknown_rooms) == ((), (), ())
