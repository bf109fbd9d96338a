"""Two steps behind the newest one, in a copy of the migrations: an expansion and the contraction after it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from booking_tasks.ops import migrate, schema_steps

_HEAD = """
from alembic import op

from booking_tasks.ops.schema_steps import create, drop, replace, undo_replace

revision = {revision!r}
down_revision = {before!r}
branch_labels = None
depends_on = None
"""
#: The function is called from Python alone, so no other function has to follow it to the next version.
_EXPAND = (
    _HEAD
    + """
NOTE = "ALTER TABLE jobs ADD COLUMN note text"


def upgrade() -> None:
    op.execute(NOTE)
    for column in ("note",):
        op.execute(f"COMMENT ON COLUMN jobs.{{column}} IS 'synthetic'")
    replace(op, "lock_pool", {new})
    replace(op, "free_slots", {view})


def downgrade() -> None:
    undo_replace(op, "free_slots", {view})
    undo_replace(op, "lock_pool", {new})
    op.execute("ALTER TABLE jobs DROP COLUMN note")
"""
)
_CONTRACT = (
    _HEAD
    + """
contracts = {before!r}


def upgrade() -> None:
    drop(op, "lock_pool", {old})


def downgrade() -> None:
    create(op, "lock_pool", {old})
"""
)


@dataclass(frozen=True)
class SyntheticSteps:
    """The revisions of the newest real step and of the two synthetic ones, and the folder of all of them."""

    before: str
    expand: str
    contract: str
    folder: Path
    old_function: str
    new_function: str


def add_synthetic_steps(folder: Path) -> SyntheticSteps:
    """Write both steps into a copy of the migrations in `folder`."""
    shutil.copytree(migrate.migrations_folder(), folder)
    newest = migrate.known_revisions()[-1]
    number = int(newest[:4])
    expand, contract = f"{number + 1:04}_synthetic_expand", f"{number + 2:04}_synthetic_contract"
    old = _newest(folder, "lock_pool")
    steps = SyntheticSteps(newest, expand, contract, folder, f"lock_pool_v{old}", f"lock_pool_v{old + 1}")
    function = schema_steps.frozen_text("lock_pool", old).replace(steps.old_function, steps.new_function)
    (folder / "sql" / "lock_pool" / f"v{old + 1}.sql").write_text(function)
    view_now = _newest(folder, "free_slots")
    view = schema_steps.frozen_text("free_slots", view_now)
    view = view.replace("f.end_time\n", "f.end_time, 1 AS synthetic\n")
    (folder / "sql" / "free_slots" / f"v{view_now + 1}.sql").write_text(view)
    for template, revision, before in ((_EXPAND, expand, newest), (_CONTRACT, contract, expand)):
        text = template.format(revision=revision, before=before, old=old, new=old + 1, view=view_now + 1)
        (folder / "versions" / f"{revision}.py").write_text(text)
    return steps


def _newest(folder: Path, name: str) -> int:
    """The newest version of a function or a view."""
    return max(int(path.stem[1:]) for path in (folder / "sql" / name).glob("v*.sql"))


@pytest.fixture
def synthetic_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SyntheticSteps:
    """The migrations of this process end in the two synthetic steps."""
    steps = add_synthetic_steps(tmp_path / "migrations")
    monkeypatch.setattr(migrate, "migrations_folder", lambda: steps.folder)
    return steps
