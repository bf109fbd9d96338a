"""One function changes the status of a request and one that of a session: nothing else assigns it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "booking_tasks"

#: Function -> the one place that may assign a status.
ALLOWED = {
    "requests/service.py": {"_set_status"},
    "requests/store.py": {"mirror_written"},  # what an SQL function wrote; the caller checked the step
    "sessions/service.py": {"transition"},
}
STATE_WRITERS = {
    "offers/service.py": {"_set_state"},
    "absence/state.py": {"transition_plan", "transition_step"},
}
#: The SQL functions that write a status themselves, in the statement that books or holds.
SQL_WRITERS = {"book_start.sql", "hold_for_confirmation.sql"}


def _assigned(node: ast.AST) -> Iterator[ast.expr]:
    """The targets that a statement assigns, tuples taken apart."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    for target in targets:
        yield from target.elts if isinstance(target, ast.Tuple) else [target]


def _writes_attribute(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == name for one in _assigned(node))


def _writes_status(node: ast.AST) -> bool:
    """Whether a node assigns `.status`, by attribute, by an UPDATE's values or by setattr."""
    if _writes_attribute(node, "status"):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in {"setattr", "set_committed_value"}:
        return not (isinstance(node.args[1], ast.Constant) and node.args[1].value != "status")
    return name == "values" and any(one.arg == "status" for one in node.keywords)


def writers(text: str) -> set[str]:
    """The functions of a module that write a status."""
    return {
        function.name
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef) and any(_writes_status(node) for node in ast.walk(function))
    }


def test_the_status_of_a_request_or_session_is_written_in_one_place() -> None:
    found = {
        str(path.relative_to(PACKAGE)): functions
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "ops" and (functions := writers(path.read_text()))
    }
    assert found == ALLOWED


def test_the_state_of_an_offer_or_an_absence_plan_is_written_in_one_place() -> None:
    found = {
        str(path.relative_to(PACKAGE)): names
        for package in ("offers", "waiting", "absence")
        for path in (PACKAGE / package).glob("*.py")
        if (
            names := {
                function.name
                for function in ast.walk(ast.parse(path.read_text()))
                if isinstance(function, ast.FunctionDef)
                and any(_writes_attribute(node, "state") for node in ast.walk(function))
            }
        )
    }
    assert found == STATE_WRITERS


def test_only_the_statements_that_book_or_hold_write_a_status_in_sql() -> None:
    writing = {
        path.name for path in PACKAGE.rglob("*.sql") if "SET status" in " ".join(path.read_text().split())
    }
    assert writing == SQL_WRITERS


@pytest.mark.parametrize(
    "line",
    [
        'request.status = "scheduled"',
        'request.status, request.updated_at = "scheduled", now',
        'db.execute(update(ConsultationRequest).values(status="completed"))',
        'setattr(request, "status", "scheduled")',
        "set_committed_value(request, name, value)",
    ],
)
def test_every_way_to_write_a_status_is_found(line: str) -> None:
    assert writers(f"def anywhere():\n    {line}\n") == {"anywhere"}
