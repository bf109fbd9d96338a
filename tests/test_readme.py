"""The README is true: its promises name tests that exist, its tables are those of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from booking_tasks.contracts import PUBLIC
from booking_tasks.kit.settings import Settings, load_settings, variable_of
from booking_tasks.ops.cli import cli
from booking_tasks.outbox.jobs import JOB_TYPES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LOST = {
    "repeat": "repeated under the same key",
    "repeat_once": "repeated once, byte for byte; then a person decides",
    "never": "not repeated; a person decides",
}


def rows(first_cell: str) -> list[list[str]]:
    """The rows of the table whose head begins with the given cell."""
    table = README.partition(f"| {first_cell} |")[2].partition("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_promise_names_a_test_that_exists() -> None:
    promises = README.partition("## The promises")[2].partition("\n## ")[0]
    numbered = re.split(r"^\d+\. ", promises, flags=re.MULTILINE)[1:]
    assert len(numbered) == 10
    for promise in numbered:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promise)
        assert named, promise
        for path, test in named:
            tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
            functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert test in functions, f"{path}::{test}"


def test_the_table_of_settings_is_whole_and_its_defaults_are_true() -> None:
    written = {name.strip("`"): default.strip("`") for name, default, _ in rows("variable")}
    assert list(written) == [variable_of(name) for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        shown, default = written[variable_of(name)], field.get_default()
        if default is None:
            assert shown == "", name
        else:
            # DATABASE_URL is shown as people write it, and read with its driver added.
            read = getattr(load_settings({name: shown}), name)
            assert read == getattr(load_settings({name: default}), name), name


def test_the_table_of_lost_outcomes_is_that_of_the_code() -> None:
    assert {job_type.strip("`"): meaning for job_type, meaning in rows("job")} == {
        name: LOST[job_type.on_unknown_result] for name, job_type in JOB_TYPES.items()
    }


def test_the_table_of_queues_names_every_public_task() -> None:
    written = {
        task: queue.strip("`") for queue, tasks, _ in rows("queue") for task in re.findall(r"`(\w+)`", tasks)
    }
    assert written == {name: contract.queue for name, contract in PUBLIC.items()}


PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "benchmarks" / "README.md",
    ROOT / "client" / "README.md",
]
#: Folders and files whose text, comments included, may name a page of the documentation.
_TEXTS = ("*.md", "*.toml", "*.yml", "Makefile", "*.py")
_FOLDERS = ("booking_tasks", "benchmarks", "client", "docs", "migrations", "tests")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_linked_file_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def _texts() -> Iterator[tuple[str, str]]:
    """Every text of this repository, by its path."""
    for pattern in _TEXTS:
        paths = [*ROOT.glob(pattern), *(one for name in _FOLDERS for one in (ROOT / name).rglob(pattern))]
        for path in paths:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def test_every_page_that_is_named_without_a_link_exists() -> None:
    named = [(path, page) for path, text in _texts() for page in re.findall(r"\bdocs/[\w/.-]+\.md\b", text)]

    assert {"client/pyproject.toml", "booking_tasks/guard/channel.py"} <= {path for path, _ in named}
    assert [(path, page) for path, page in named if not (ROOT / page).exists()] == []


def test_every_decision_is_named_by_the_number_of_its_page() -> None:
    """Outside the decisions themselves a number stands in a link, so that it cannot be another one's."""
    for page in PAGES:
        if page.parent.name == "decisions":
            continue
        text = page.read_text(encoding="utf-8")
        for number, file in re.findall(r"\[decision (\d+)\]\((?:[\w.]+/)*(\d+)-[\w-]+\.md\)", text):
            assert int(number) == int(file), f"{page.name}: decision {number}"
        assert re.findall(r"(?<!\[)[Dd]ecision \d+", text) == [], page.name


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in ("make demo", "make test"):
        assert f"\n{command}\n" in README
        assert re.search(rf"^{command.removeprefix('make ')}:", makefile, re.MULTILINE)


def test_the_tree_is_the_first_level_of_the_package() -> None:
    tree = README.partition("## The code")[2].partition("```\n\n")[0]
    named = re.findall(r"^  (\w+(?:\.py|/))", tree, re.MULTILINE)
    there = {
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "booking_tasks").iterdir()
        if not path.name.startswith("__") and (path.is_dir() or path.suffix == ".py")
    }
    assert len(named) == len(set(named))
    assert set(named) == there
    beside = re.findall(r"^(\w+(?:\.py|/))", tree, re.MULTILINE)
    assert len(beside) > 4
    for name in beside:
        assert (ROOT / name).exists(), name


def test_every_decision_has_a_status_a_date_and_alternatives() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        head = text.partition("\n## ")[0]
        assert re.match(rf"# {int(page.name[:4])}\. \S", text), page.name
        assert re.search(r"^Status: accepted", head, re.MULTILINE), page.name
        assert re.search(r"Date: \d{4}-\d\d-\d\d$", head, re.MULTILINE), page.name
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["Context", "Decision", "Alternatives considered", "Consequences"], page.name


def _commands(command: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every command of the command line with its options."""
    if hasattr(command, "commands"):
        for name, one in command.commands.items():
            yield from _commands(one, f"{path} {name}".strip())
    else:
        yield path, {option for one in command.params for option in one.opts if option.startswith("--")}


def _lines_of_commands(page: Path) -> Iterator[str]:
    """Lines of code blocks, and inline code, that begin with the command's name."""
    text = page.read_text(encoding="utf-8")
    blocks = [line for block in text.split("```")[1::2] for line in block.splitlines()]
    for line in [*blocks, *re.findall(r"`([^`\n]+)`", text)]:
        if line.startswith("booking-tasks "):
            yield line.removeprefix("booking-tasks ")


def test_every_command_and_option_of_the_pages_exists() -> None:
    known = dict(_commands(typer.main.get_command(cli)))
    groups = {name.split()[0] for name in known if " " in name}
    checked = 0
    for page in PAGES:
        for line in _lines_of_commands(page):
            first, *rest = line.split("#")[0].split()
            for name in first.split("|"):
                assert name in known or name in groups, f"{page.name}: {line}"
                if name in groups and rest and rest[0][0].isalpha():
                    for one in rest[0].split("|"):
                        assert f"{name} {one}" in known, f"{page.name}: {line}"
                options = set(re.findall(r"--[a-z][a-z-]+", line.split(" -- ")[0]))
                full = f"{name} {rest[0].split('|')[0]}" if name in groups and rest else name
                if full in known:
                    celery = {"worker", "beat"} & {name}
                    assert celery or options <= known[full], f"{page.name}: {line}"
                checked += 1
    assert checked > 40


def test_every_log_line_is_explained() -> None:
    logged = set()
    for path in (ROOT / "booking_tasks").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        logged |= set(re.findall(r"log\.(?:info|warning|error|exception)\(\s*\"([\w.]+)\"", text))
    table = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = table.partition("| line | it means |")[2].partition("\n\n")[0]
    explained = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", table))
    assert len(logged) > 20
    assert explained == logged
