"""Rules about names, values and functions, each checked on all code and on a text that breaks it."""

from __future__ import annotations

import enum
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

from booking_tasks import enums
from booking_tasks.outbox import event_types
from tests import vocabulary
from tests.source_rules import bare_comparisons, class_names, long_functions, writing_predicates

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "booking_tasks"
MOST_LINES = 40
#: Every value of an enum of statuses, states and types.
MEMBERS = frozenset(
    str(member.value)
    for module in (enums, event_types)
    for _, one in inspect.getmembers(module, inspect.isclass)
    if issubclass(one, enum.StrEnum)
    for member in one
)


def _modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_function_is_longer_than_forty_lines() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in _modules("booking_tasks")
        for line, name in long_functions(path.read_text(), MOST_LINES)
    ]

    assert found == []


def test_no_two_classes_have_the_same_name() -> None:
    names = Counter(
        name
        for path in _modules("booking_tasks")
        for _, name in class_names(path.read_text())
        if name[0] != "_"
    )

    assert len(names) > 200
    assert [name for name, count in names.items() if count > 1] == []


def test_no_predicate_changes_what_it_is_called_with() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in _modules("booking_tasks")
        for line, name in writing_predicates(path.read_text())
    ]

    assert found == []


def test_no_status_state_or_type_is_compared_with_a_bare_string() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in _modules("booking_tasks")
        for line, name in bare_comparisons(path.read_text(), MEMBERS)
    ]

    assert len(MEMBERS) > 50
    assert found == []


def test_no_statement_is_kept_from_the_formatter() -> None:
    skipped = re.compile(r"#\s*fmt:\s*" + "(skip|off)")
    found = [
        str(path.relative_to(ROOT))
        for path in _modules("booking_tasks", "migrations", "benchmarks", "tests")
        if skipped.search(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (lambda text: long_functions(text, MOST_LINES), "def long():\n" + "    pass\n" * MOST_LINES),
        (writing_predicates, "def is_due(job):\n    job.due_at = None\n    return True\n"),
        (writing_predicates, "def has_room(limits):\n    limits['day'] = 1\n    return True\n"),
        (lambda text: bare_comparisons(text, MEMBERS), "waits = request.status == 'pending'\n"),
        (lambda text: bare_comparisons(text, MEMBERS), "over = job.state in {'done', 'lost'}\n"),
    ],
)
def test_each_rule_finds_what_breaks_it(rule, text: str) -> None:  # type: ignore[no-untyped-def]
    assert list(rule(text)) != []


# -- the vocabulary --------------------------------------------------------------------------------


def test_no_text_has_a_refused_word() -> None:
    assert vocabulary.refused_in_text(ROOT) == []


def test_no_name_has_a_refused_part() -> None:
    assert vocabulary.refused_in_names(ROOT) == []


@pytest.mark.parametrize(
    "text",
    [
        "def give_start(): pass",
        "class AskedConsultant: pass",
        "def book(kind): pass",
        "wish = 1",
        "row.door = 'web'",
        "log.info('job.done', kind=1)",
        "{'because': 'full'}",
        "option = '--kind'",
        "query = 'SELECT kind FROM jobs'",
        "from booking_tasks import outbox as story",
        "class Type(StrEnum):\n    REQUESTED = 'request.confirmation_wanted'",
    ],
)
def test_a_definition_with_a_refused_part_is_found(text: str) -> None:
    assert [name for _, name in vocabulary.in_python(text) if vocabulary.is_refused(name)] != []


@pytest.mark.parametrize(
    "text",
    [
        "def give_up(): pass",
        "dead_letter = 1",
        "from hypothesis import given",
        "@given(st.text())\ndef test_text(value): pass",
        "library.call(kind=1)",
        "'''Everybody was told because they asked.'''",
    ],
)
def test_names_of_libraries_and_prose_are_accepted(text: str) -> None:
    assert [name for _, name in vocabulary.in_python(text) if vocabulary.is_refused(name)] == []
