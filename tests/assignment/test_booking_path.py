"""The path of a request that is booked at once stays as short as it is."""

from __future__ import annotations

from benchmarks.booking_path import report, trace

#: Lower the numbers when the path gets shorter. `python -m benchmarks.booking_path` prints the whole path.
FILES, FUNCTIONS, STATEMENTS, LONGEST = 25, 72, 9, 40


def test_the_booking_path_has_no_more_files_functions_or_statements_than_before(own_database: str) -> None:
    """The counts are those of the script, which says how it counts."""
    found = trace(own_database)
    assert len(found.statements) == STATEMENTS, report(found)
    assert len(found.files) <= FILES, report(found)
    assert len(found.path) <= FUNCTIONS, report(found)
    assert found.path[found.longest] <= LONGEST, report(found)
