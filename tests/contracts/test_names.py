"""A contract is imported when it is used: importing the package makes no class of a message."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import booking_tasks.contracts as package

SOURCE = Path(str(package.__file__))
PREFIX = "booking_tasks.contracts."
ROOT = SOURCE.parent.parent.parent


def _loaded_after(statement: str) -> set[str]:
    """The contract modules that a fresh interpreter has loaded after the statement."""
    program = f"import sys\n{statement}\nprint(*(n for n in sys.modules if n.startswith('{PREFIX}')))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.rpartition(".")[2] for name in ran.stdout.split()}


def test_importing_the_package_makes_no_class() -> None:
    assert _loaded_after("import booking_tasks.contracts") == set()


def test_a_contract_loads_what_it_is_made_of_and_no_other_contract() -> None:
    loaded = _loaded_after("from booking_tasks.contracts import SubmitRequest")

    assert {"base", "booking"} <= loaded
    assert loaded <= {"base", "booking", "hours", "recurrence"}


def test_the_contracts_of_all_tasks_are_all_contracts() -> None:
    loaded = _loaded_after("from booking_tasks.contracts import PUBLIC; assert len(PUBLIC) > 30")

    assert {"absence", "booking", "catalogue", "evidence", "holds", "public"} <= loaded


def test_mypy_and_the_interpreter_find_each_name_in_the_same_module() -> None:
    for_mypy = {
        name.name: str(node.module).rpartition(".")[2]
        for node in ast.walk(ast.parse(SOURCE.read_text()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{package.__name__}.")
        for name in node.names
    }

    assert for_mypy == package._MODULES
    assert sorted(for_mypy) == sorted(package.__all__)
    assert len(package.__all__) == len(set(package.__all__)) > 90
    for name in package.__all__:
        assert getattr(package, name) is getattr(sys.modules[f"{package.__name__}.{for_mypy[name]}"], name)
    assert set(package.__all__) <= set(dir(package))


def test_an_unknown_name_is_the_usual_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'SubmitRequests'"):
        _ = package.SubmitRequests  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'SubmitRequests'"):
        exec("from booking_tasks.contracts import SubmitRequests")
