"""The SQL functions and views, one file each, the triggers and fixed rows of tables, and long statements.

A function's name in the database carries a version (`book_start.sql` creates `book_start_v1`), so that two
releases can work side by side. CONTRIBUTING, "Schema", says how one is changed.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from sqlalchemy import TextClause, text

#: Every function, each after the functions that it calls.
FUNCTIONS = (
    "busy_time",
    "free_ranges",
    "free_time",
    "local_day",
    "booking_policies",
    "evaluate_starts",
    "free_starts",
    "page_of_starts",
    "start_refusals",
    "evaluate_start",
    "lock_persons",
    "insert_reservation",
    "reservation_refusal",
    "insert_request",
    "reserve_start",
    "append_event",
    "book_start",
    "count_reservations_ahead",
    "series_preconditions",
    "book_series",
    "hold_for_confirmation",
    "book_or_hold",
    "lock_pool",
    "occupy_time",
    "refuse_direct_write",
    "check_status_step",
    "forget_in_events",
)

#: Every view; they are made after the functions.
VIEWS = ("free_slots",)


def definition(name: str) -> str:
    """The statement that creates a function or a view, without the semicolon."""
    return _statement(Path(__file__).parent / f"{name}.sql")


def table_statements() -> list[str]:
    """The statements that fill a new table with its fixed rows and create its triggers, table by table."""
    files = sorted((Path(__file__).parent / "tables").glob("*.sql"))
    return [one for path in files for one in _statement(path).split(";\n\n")]


@cache
def query(package: str, name: str) -> TextClause:
    """The statement in `queries/<name>.sql` of a package (`__package__`), with its named parameters."""
    return text(query_text(package, name))


def query_text(package: str, name: str) -> str:
    """The same statement as text, for a psycopg connection."""
    [folder] = import_module(package).__path__
    return _statement(Path(folder) / "queries" / f"{name}.sql")


def _statement(path: Path) -> str:
    return path.read_text(encoding="utf-8").rstrip().removesuffix(";")
