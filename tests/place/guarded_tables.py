"""Statements on the tables that only triggers and steps of the schema write."""

from __future__ import annotations

from tests.place.world import BOOKING, CEM, NEW, REFERENCED, RESTRICTED, Attack, at, hold

_FORGED = f"{NEW}, 'consultant', {CEM}, tstzrange({at(6)}, {at(7)})"
_STEP = "'session', 'scheduled', 'completed'"

#: Tables that only triggers and steps of the schema write. The service's role has not even the right to try.
TABLES: dict[str, Attack] = {
    "occupy somebody": (
        (f"INSERT INTO occupied_times (reservation_id, role, person_id, span) VALUES ({_FORGED})",),
        RESTRICTED,
    ),
    "occupy somebody unless that is done": (
        (
            f"INSERT INTO occupied_times (reservation_id, role, person_id, span) VALUES ({_FORGED})"
            " ON CONFLICT DO NOTHING",
        ),
        RESTRICTED,
    ),
    "occupy somebody by MERGE": (
        (
            "MERGE INTO occupied_times o USING (VALUES (1)) AS v (one) ON false WHEN NOT MATCHED THEN"
            f" INSERT (reservation_id, role, person_id, span) VALUES ({_FORGED})",
        ),
        RESTRICTED,
    ),
    "shift where somebody is": (
        (f"UPDATE occupied_times SET span = tstzrange({at(6)}, {at(7)}) WHERE reservation_id = {BOOKING}",),
        RESTRICTED,
    ),
    "let a booking end like a hold": (
        (f"UPDATE occupied_times SET held_until = {at(1)} WHERE reservation_id = {BOOKING}",),
        RESTRICTED,
    ),
    "give a place to somebody else": ((f"UPDATE occupied_times SET person_id = {CEM}",), RESTRICTED),
    "free somebody": ((f"DELETE FROM occupied_times WHERE reservation_id = {BOOKING}",), RESTRICTED),
    "free somebody, and take the time": (
        (
            f"WITH freed AS (DELETE FROM occupied_times WHERE reservation_id = {BOOKING})"
            f" {hold(start=at(10), end=at(11))}",
        ),
        RESTRICTED,
    ),
    "free everybody": (("TRUNCATE occupied_times",), RESTRICTED),
    "allow a step": ((f"INSERT INTO allowed_steps (aggregate, before, after) VALUES ({_STEP})",), RESTRICTED),
    "change a step": (
        ("UPDATE allowed_steps SET after = 'completed' WHERE before = 'scheduled'",),
        RESTRICTED,
    ),
    "forbid all steps": (("DELETE FROM allowed_steps",), RESTRICTED),
    "truncate the steps": (("TRUNCATE allowed_steps",), RESTRICTED),
    "truncate the sessions": (("TRUNCATE scheduled_sessions",), REFERENCED),
    "truncate the slot ledger": (("TRUNCATE consultant_availability_slots",), REFERENCED),
    "truncate sessions and slot ledger": (
        ("TRUNCATE scheduled_sessions, consultant_availability_slots",),
        REFERENCED,
    ),
}
