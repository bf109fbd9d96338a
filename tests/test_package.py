"""The wheel contains the schedule and the migrations, and the installed service uses no other ones."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's sdist and wheel."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], check=True, cwd=ROOT)
    return folder


def test_the_wheel_carries_schedule_migrations_and_types(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    steps = {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}

    assert {"booking_tasks/_beat_schedule.py", "booking_tasks/_migrations/env.py"} <= set(names)
    assert steps
    frozen = {
        path.relative_to(ROOT / "migrations").as_posix() for path in (ROOT / "migrations").rglob("*.sql")
    }
    functions = {path.name for path in (ROOT / "booking_tasks" / "sql").glob("*.sql")}
    assert len(frozen) > 5
    assert len(functions) > 5
    assert {f"booking_tasks/_migrations/{path}" for path in frozen} <= set(names)
    assert {f"booking_tasks/sql/{name}" for name in functions} <= set(names)
    assert {f"booking_tasks/_migrations/versions/{step}" for step in steps} <= set(names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"booking_tasks"}
    assert [name for name in names if "__pycache__" in name or "tests" in name.split("/")] == []


def test_the_source_archive_can_be_built_and_tested_from(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}

    needed = {"beat_schedule.py", "migrations/env.py", "pyproject.toml", "LICENSE", "requirements.lock"}
    assert needed | {"tests/conftest.py", "Makefile"} <= names
    assert not {name for name in names if name.startswith((".venv/", ".ci/", ".git/"))}


def test_an_installed_service_ignores_a_stray_schedule_and_stray_migrations(
    built: Path, tmp_path: Path
) -> None:
    (wheel,) = built.glob("*.whl")
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            str(site),
            str(wheel),
        ],
        check=True,
        env=os.environ | {"PIP_ROOT_USER_ACTION": "ignore"},
    )
    (elsewhere / "migrations" / "versions").mkdir(parents=True)
    (elsewhere / "migrations" / "env.py").write_text("raise SystemExit('the stray migrations ran')\n")
    (elsewhere / "beat_schedule.py").write_text("raise SystemExit('the stray schedule was taken')\n")

    program = (
        "import beat_schedule_probe, booking_tasks.celery, booking_tasks.ops.migrate as m;"
        "print(booking_tasks.celery.schedule_module().__file__); print(m.migrations_folder());"
        "print(len(booking_tasks.celery.app.conf.beat_schedule) > 5)"
    )
    (elsewhere / "beat_schedule_probe.py").write_text("")  # shows that this folder is on the path
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=elsewhere,
        env=os.environ | {"PYTHONPATH": str(site)},
    )

    package = site / "booking_tasks"
    assert ran.stdout.split("\n")[:3] == [
        str(package / "_beat_schedule.py"),
        str(package / "_migrations"),
        "True",
    ]


def test_a_checkout_uses_its_own_root_files() -> None:
    from booking_tasks.celery import schedule_module
    from booking_tasks.ops.migrate import migrations_folder

    assert schedule_module().__file__ == str(ROOT / "beat_schedule.py")
    assert migrations_folder() == ROOT / "migrations"
