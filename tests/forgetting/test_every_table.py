"""A new table is a red test until it is said how long its rows live and what forgetting does to them."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB

from booking_tasks import forgetting
from booking_tasks.forgetting import store
from booking_tasks.models import Base, Consultant

ROOT = Path(__file__).parents[2]
FORGETTING = Path(forgetting.__file__).parent
#: Tables that may name persons and that no statement of the package changes, with the reason.
ELSEWHERE = {
    "events": "changed by forget_in_events alone",
    "occupied_times": "follows the slot ledger by triggers",
    "forgotten_people": "has the ids that take the place of persons",
    "assignment_batches": "counts requests by reason",
    "consultation_service_types": "the catalogue's own weights",
}


def can_name_a_person(table: Table) -> bool:
    return any(
        re.search(r"(user|person)_ids?$", one.name) or isinstance(one.type, JSONB) for one in table.columns
    )


def test_the_manual_says_how_long_the_rows_of_every_table_live() -> None:
    manual = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    part = manual.split("\n## Keeping it small\n")[1].split("\n## ")[0]
    first_cells = "".join(line.split("|")[1] for line in part.splitlines() if line.startswith("| "))
    assert set(Base.metadata.tables) - set(re.findall(r"`(\w+)`", first_cells)) == set()


def test_forgetting_reaches_every_table_that_can_name_a_person() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in FORGETTING.rglob("*.sql"))
    declared = {model.__tablename__ for model in (*store._DECLARED, Consultant)}
    written = set(re.findall(r"(?:UPDATE|DELETE FROM) (\w+)", code))
    reached = written | declared
    named = {name for name, table in Base.metadata.tables.items() if can_name_a_person(table)}
    assert named - reached - ELSEWHERE.keys() == set()
    assert ELSEWHERE.keys() <= named
