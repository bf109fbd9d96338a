"""No message is sent with an ETA or a countdown, because the database knows when work is due."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "booking_tasks"
BANNED = {"eta", "countdown"}


def delayed_calls(source: str) -> Iterator[int]:
    """The lines with a call that has `eta` or `countdown` as a keyword, or as a key of its options."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(keywords=keywords) if BANNED & {one.arg for one in keywords}:
                yield node.lineno
            case ast.Dict(keys=keys):
                if BANNED & {one.value for one in keys if isinstance(one, ast.Constant)}:
                    yield node.lineno


def test_no_code_sends_a_message_for_later() -> None:
    modules = [*sorted(PACKAGE.rglob("*.py")), PACKAGE.parent / "beat_schedule.py"]

    found = [f"{path.name}:{line}" for path in modules for line in delayed_calls(path.read_text())]

    assert len(modules) > 100
    assert found == []


def test_the_search_finds_what_it_bans() -> None:
    assert list(delayed_calls("task.apply_async(countdown=5)\nsend(eta=now)")) == [1, 2]
    assert list(delayed_calls("options = {'eta': now}")) == [1]
