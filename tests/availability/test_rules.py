"""Who may be offered."""

from __future__ import annotations

from booking_tasks.availability.rules import has_specializations


def test_specializations_match_without_regard_to_case() -> None:
    assert has_specializations(["Algebra", "GEOMETRY"], ["algebra"])
    assert not has_specializations(["Algebra"], ["algebra", "law"])
    assert has_specializations([], [])
