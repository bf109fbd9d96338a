"""The step to `occupied_times` on data that is there: it lists clashes, or takes everything over."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from booking_tasks.ops.migrate import migrate
from booking_tasks.ops.schema_targets import SchemaError
from tests.catalogues import catalogue_of, differences, fresh_database
from tests.place.world import (
    ADA,
    BEN,
    BOOKING,
    BOOKING_OF_CEM,
    CANCELLED,
    CEM,
    HOLD,
    KEPT,
    NEW,
    OF_CEM,
    OF_PIA,
    OF_RUBY,
    PIA,
    REQUEST_CANCELLED,
    ROWS,
    RUBY,
    SCHEDULED,
    at,
    booking,
    execute,
    hold,
    session,
    uid,
)

#: What the schema before accepts, and the line that the step answers, by the ids in it.
CLASHES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a consultant is a requester elsewhere": (
        (hold(CEM, RUBY, at(10), at(11)),),
        (f"person {CEM} is in two places at once", NEW, f"of session {OF_CEM}", "2031-03-03 10:00 to"),
    ),
    "one person in both roles": ((hold(ADA, ADA),), (f"person {ADA} is in two places at once", NEW)),
    "a kept time was booked": (
        (hold(BEN, ADA, at(17), at(18)),),
        (f"person {ADA} is in two places at once", f"block {KEPT}"),
    ),
    "a session without a booking": ((session(),), (f"session {NEW} (scheduled", "has no booked row")),
    "a session at another time": (
        (f"UPDATE scheduled_sessions SET scheduled_end_time = {at(12)} WHERE id = {SCHEDULED}",),
        (f"session {SCHEDULED} (scheduled", "has no booked row"),
    ),
    "a session of another consultant": (
        (f"UPDATE scheduled_sessions SET consultant_user_id = {BEN} WHERE id = {SCHEDULED}",),
        (f"session {SCHEDULED} (scheduled", "has no booked row", f"consultant {BEN}"),
    ),
    "a cancelled session with a booking": (
        (booking(CANCELLED, REQUEST_CANCELLED, PIA, ADA, at(14), at(15)),),
        (f"row {NEW} of consultant_availability_slots is booked", CANCELLED, "cancelled_by_user"),
    ),
    "two bookings of one session": (
        (booking(SCHEDULED, OF_PIA, PIA, ADA, at(12), at(13)),),
        (f"session {SCHEDULED} has 2 booked rows", BOOKING, NEW),
    ),
    "a hold that names a session": (
        (
            hold(),
            f"UPDATE consultant_availability_slots SET scheduled_session_id = {SCHEDULED} WHERE id = {NEW}",
        ),
        (f"row {NEW} of consultant_availability_slots is held", SCHEDULED, "to NULL"),
    ),
}


@pytest.fixture
def before(server: str) -> Iterator[str]:
    """A database of the step before, with rows that fit."""
    with fresh_database(server) as url:
        migrate(url, "0003_indexes_of_open_jobs")
        _run(url, *ROWS)
        yield url


def _run(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        execute(connection, statements)


def _occupied(url: str) -> set[tuple[str, str, str]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT quote_literal(reservation_id), role, quote_literal(person_id) FROM occupied_times"
        ).fetchall()
    return {(row[0], row[1], row[2]) for row in rows}


@pytest.mark.parametrize("name", CLASHES)
def test_a_clash_is_listed_with_its_ids_and_nothing_is_changed(before: str, name: str) -> None:
    statements, expected = CLASHES[name]
    _run(before, *statements)
    schema = catalogue_of(before)

    with pytest.raises(SchemaError) as refused:
        migrate(before)

    lines = [line for line in str(refused.value).splitlines() if line.startswith("- ")]
    texts = [text.replace("'", "") for text in expected]
    assert any(all(text in line for text in texts) for line in lines), refused.value
    assert str(refused.value).startswith(f"{len(lines)} clashes in the data, and nothing was changed")
    assert str(refused.value).endswith("then run booking-tasks migrate again.")
    assert differences(schema, catalogue_of(before)) == []


def test_many_clashes_are_counted_and_the_first_are_listed(before: str) -> None:
    requests = [uid(1000 + number) for number in range(60)]
    for number, request in enumerate(requests):
        _run(
            before,
            "INSERT INTO consultation_requests (id, requester_user_id, consultation_service_type_id, status)"
            f" SELECT {request}, requester_user_id, consultation_service_type_id, 'scheduled'"
            f" FROM consultation_requests WHERE id = {OF_RUBY}",
            session(uid(2000 + number), request),
        )

    with pytest.raises(SchemaError, match=r"^60 clashes") as refused:
        migrate(before)

    assert str(refused.value).count("\n- session") == 40
    assert "\n- and 20 more\n" in str(refused.value)


def test_a_clash_that_is_resolved_lets_the_step_pass(before: str) -> None:
    _run(before, hold(CEM, RUBY, at(10), at(11)))
    with pytest.raises(SchemaError, match="in two places"):
        migrate(before)
    _run(before, f"DELETE FROM consultant_availability_slots WHERE id = {NEW}")

    migrate(before)

    assert {one for one in _occupied(before) if one[0] in {BOOKING, HOLD, KEPT, BOOKING_OF_CEM}} == {
        (BOOKING, "consultant", ADA),
        (BOOKING, "requester", PIA),
        (BOOKING_OF_CEM, "consultant", BEN),
        (BOOKING_OF_CEM, "requester", CEM),
        (HOLD, "consultant", ADA),
        (HOLD, "requester", uid(22)),
        (KEPT, "kept", ADA),
    }


def test_a_hold_that_is_over_is_no_clash(before: str) -> None:
    _run(
        before,
        hold(CEM, RUBY, at(10), at(11)),
        f"UPDATE consultant_availability_slots SET held_until = now() - interval '1 second' WHERE id = {NEW}",
    )

    migrate(before)

    assert NEW not in {reservation for reservation, _, _ in _occupied(before)}


def test_an_absence_plan_that_is_applied_stays_applied(before: str) -> None:
    """The colleague has the time already, and the session still names the absent consultant."""
    _run(
        before,
        f"DELETE FROM consultant_availability_slots WHERE id = {BOOKING}",
        booking(SCHEDULED, uid(41), PIA, CEM, at(12), at(13), BOOKING),
        f"UPDATE scheduled_sessions SET scheduled_start_time = {at(12)}, scheduled_end_time = {at(13)}"
        f" WHERE id = {SCHEDULED}",
        "INSERT INTO absence_plans (id, consultant_user_id, reason, actor, planned_at, state, announce_at)"
        f" VALUES ({NEW}, {ADA}, 'ill', 'desk', {at(8)}, 'applied', {at(9)})",
        "INSERT INTO absence_plan_steps (plan_id, scheduled_session_id, position, session_revision, action,"
        " reason, consultant_user_id, start_time, end_time, state, booking_id)"
        f" VALUES ({NEW}, {SCHEDULED}, 1, 0, 'reassign', 'best', {CEM}, {at(12)}, {at(13)}, 'applied',"
        f" {BOOKING})",
    )

    migrate(before)

    with psycopg.connect(before) as connection:
        row = connection.execute(
            "SELECT quote_literal(consultant_user_id), quote_literal(substitute_user_id),"
            f" quote_literal(serving_user_id) FROM scheduled_sessions WHERE id = {SCHEDULED}".encode()
        ).fetchone()
    assert row == (ADA, CEM, CEM)
    migrate(before, "-1")
    migrate(before)
