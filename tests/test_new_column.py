"""A new column of a request is named in few places, and reaches the row on every way into the database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from booking_tasks.ops.migrate import known_revisions
from tests.catalogues import fresh_database

ROOT = Path(__file__).parent.parent
COLUMN = "access_needs"
#: Beside the contract and the rule of the column.
MOST_PLACES = 4

_STEP = '''"""Requests say what access their requester needs."""

from __future__ import annotations

from alembic import op

revision = {revision!r}
down_revision = {before!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE consultation_requests ADD COLUMN access_needs varchar")


def downgrade() -> None:
    op.execute("ALTER TABLE consultation_requests DROP COLUMN access_needs")
'''
#: File -> the line behind which the column is added, and what is added.
_EDITS = {
    "booking_tasks/models/consultations.py": (
        "    fallback_after: Mapped[datetime | None]\n",
        "    access_needs: Mapped[str | None]\n",
    ),
    "booking_tasks/intake/store.py": (
        "        replaces_request_id=command.replaces_request_id,\n",
        "        access_needs=command.access_needs,\n",
    ),
    "booking_tasks/ops/access/grants.sql": ("                    fallback_after", ", access_needs"),
}
_CONTRACT = "booking_tasks/contracts/booking.py"
_IN_CONTRACT = (
    "    replaces_request_id: UUID | None = None\n",
    "    access_needs: str | None = None\n",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package, the migrations and the tests' helpers, with the new column."""
    for folder in ("booking_tasks", "migrations", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "test_*")
        )
    shutil.copy(ROOT / "beat_schedule.py", tmp_path)
    for name, (behind, added) in (*_EDITS.items(), (_CONTRACT, _IN_CONTRACT)):
        path = tmp_path / name
        text = path.read_text()
        assert text.count(behind) == 1, name
        path.write_text(text.replace(behind, behind + added))
    before = known_revisions()[-1]
    revision = f"{int(before[:4]) + 1:04}_access_needs"
    (tmp_path / "migrations" / "versions" / f"{revision}.py").write_text(
        _STEP.format(revision=revision, before=before)
    )
    return tmp_path


def test_a_new_column_is_named_in_few_places(tree: Path) -> None:
    naming = {
        str(path.relative_to(tree))
        for folder in ("booking_tasks", "migrations")
        for path in (tree / folder).rglob("*.*")
        if path.suffix in {".py", ".sql", ".txt"} and COLUMN in path.read_text()
    }
    assert len(naming - {_CONTRACT}) <= MOST_PLACES, naming


def test_it_is_stored_with_a_request_that_is_booked_at_once_and_with_one_that_waits(
    tree: Path, postgres: str
) -> None:
    with fresh_database(postgres) as url:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.new_column_probe", url, COLUMN, "ramp"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree)},
        )
    assert ran.stdout.splitlines() == ["scheduled ramp", "pending_assignment ramp"], ran.stderr
