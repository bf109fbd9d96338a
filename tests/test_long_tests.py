"""Every test that is marked long is run by `make faults`, wherever it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Writes down its arguments and ends as the file says that is named like the run: `long` or `folders`.
_PYTHON = """#!/bin/bash
[[ " $* " == *" -m long "* ]] && run=long || run=folders
echo "$*" >> calls
exit "$(cat "$run")"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which `make` finds an interpreter that runs no test."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("pyproject.toml", "requirements.lock"):
        (tmp_path / name).touch()
    (programs / "python").write_text(_PYTHON)
    (programs / "python").chmod(0o755)
    (programs.parent / ".installed").touch()
    return tmp_path


def make_faults(checkout: Path, folders: int = 0, long: int = 0, *arguments: str) -> tuple[int, list[str]]:
    """Run the target while its two runs end with these codes; its own code, and what was called."""
    (checkout / "folders").write_text(str(folders))
    (checkout / "long").write_text(str(long))
    # `make test ARGS=...` hands its own variables on to every make below it.
    outer = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
    ran = subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "faults", *arguments],
        cwd=checkout,
        env={name: value for name, value in os.environ.items() if name not in outer},
        capture_output=True,
        check=False,
    )
    return ran.returncode, (checkout / "calls").read_text().splitlines()


def is_reached(file: str, call: str) -> bool:
    """Whether a run of pytest with these arguments runs the long tests of a file."""
    parts = call.removeprefix("-m pytest ").split()
    ignored = [one.removeprefix("--ignore=") for one in parts if one.startswith("--ignore=")]
    if any(file.startswith(f"{folder}/") for folder in ignored):
        return False
    folders = [one for one in parts if one.startswith("tests/")]
    if folders:
        return "-m" not in parts and any(file.startswith(f"{folder}/") for folder in folders)
    return parts[:2] == ["-m", "long"]


def test_every_file_with_a_long_test_is_reached_by_the_target(checkout: Path) -> None:
    code, calls = make_faults(checkout)

    assert code == 0
    assert len(calls) == 2
    marker = "mark." + "long"
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if marker in path.read_text()]
    names = {path.relative_to(ROOT).as_posix() for path in files}
    assert {name.split("/")[1] for name in names} >= {"assignment", "faults", "installed", "messages"}
    assert {name for name in names if not any(is_reached(name, call) for call in calls)} == set()


@pytest.mark.parametrize(("folders", "long"), [(1, 0), (0, 1), (1, 1), (5, 0), (0, 5)])
def test_both_runs_are_made_and_either_one_that_fails_makes_the_target_fail(
    checkout: Path, folders: int, long: int
) -> None:
    code, calls = make_faults(checkout, folders, long)

    assert code != 0
    assert len(calls) == 2


@pytest.mark.parametrize(("folders", "long"), [(5, 0), (0, 5)])
def test_a_narrowed_run_may_select_nothing_in_one_of_the_two(checkout: Path, folders: int, long: int) -> None:
    code, calls = make_faults(checkout, folders, long, "ARGS=-k fairness")

    assert code == 0
    assert all(call.endswith("-k fairness") for call in calls)
    assert make_faults(checkout, 1, 5, "ARGS=-k fairness")[0] != 0
