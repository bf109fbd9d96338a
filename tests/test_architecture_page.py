"""docs/architecture.md and docs/glossary.md describe the code as it is.

Every file and function that they name exists, each function of the call tree is called by the one above
it, the picture of the packages shows the direction of all imports, and every lock of the code is in the
lock order.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from booking_tasks.models import Base

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "booking_tasks"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
_LOCKS = re.compile(
    r"with_for_update|pg_(?:try_)?advisory_|\bFOR (?:NO KEY |KEY )?(?:UPDATE|SHARE)\b|\bLOCK TABLE\b"
)
_LINE = re.compile(r"^(?P<indent> *)(?P<name>\w+) +(?P<file>[\w/]+\.(?:py|sql))\b", re.MULTILINE)
_FILE = re.compile(r"`((?:[\w.*-]+/)*[\w.*-]+(?:/|\.(?:py|sql|md|txt|html|yaml|toml)))`")
_NAMED = re.compile(r"`(\w+)` (?:\(|in )`([\w/]+\.(?:py|sql))`")


def _section(title: str) -> str:
    found = PAGE.partition(f"\n## {title}\n")[2]
    assert found, title
    return found.partition("\n## ")[0]


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


@cache
def _definitions(file: str) -> dict[str, list[ast.AST]]:
    """Functions, methods, classes and module-level names of a file."""
    found: dict[str, list[ast.AST]] = {}
    for node in ast.walk(_tree(file)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.setdefault(node.name, []).append(node)
    for node in _tree(file).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AnnAssign) else []
        for target in targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    found.setdefault(name.id, []).append(node)
    return found


def _statements(file: str, node: ast.AST) -> Iterator[str]:
    """The texts in a piece of code, and those of the statements that it loads from `queries/`."""
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value
            query = (PACKAGE / file).parent / "queries" / f"{one.value}.sql"
            if re.fullmatch(r"\w+", one.value) and query.exists():
                yield query.read_text(encoding="utf-8")


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


@cache
def _text_of(file: str, name: str) -> str:
    """The statements that a function sends: its own, and those of the constants that it uses."""
    definitions = _definitions(file)
    texts: list[str] = []
    for node in definitions[name]:
        texts += _statements(file, node)
        for used in _names(node) & definitions.keys():
            for constant in definitions[used]:
                if isinstance(constant, (ast.Assign, ast.AnnAssign)):
                    texts += _statements(file, constant)
    return "\n".join(texts)


def _exists(file: str, name: str) -> bool:
    path = PACKAGE / file
    if path.suffix == ".sql":
        return path.stem == name and path.exists()
    return path.exists() and name in _definitions(file)


def _calls(caller: tuple[str, str], called: tuple[str, str]) -> bool:
    file, name = caller
    if file.endswith(".sql"):
        text = (PACKAGE / file).read_text(encoding="utf-8")
    elif called[0].endswith(".sql"):
        text = _text_of(file, name)
    else:
        return any(called[1] in _names(node) for node in _definitions(file)[name])
    return re.search(rf"\b{called[1]}_v\d+\b", text) is not None


def _call_tree() -> list[tuple[int, tuple[str, str]]]:
    block = _section("One request that is booked at once").partition("```\n")[2].partition("```")[0]
    lines = [line for line in block.splitlines() if line.strip()]
    found = [_LINE.match(line) for line in lines]
    assert all(found), [line for line, one in zip(lines, found, strict=True) if one is None]
    return [(len(one["indent"]) // 2, (one["file"], one["name"])) for one in found if one is not None]


def test_every_function_of_the_call_tree_exists_and_is_called_by_the_one_above() -> None:
    tree = _call_tree()
    assert len(tree) > 20
    above: dict[int, tuple[str, str]] = {}
    for depth, (file, name) in tree:
        assert _exists(file, name), f"{file}: {name}"
        if depth:
            assert _calls(above[depth - 1], (file, name)), f"{above[depth - 1]} does not call {file}: {name}"
        above[depth] = (file, name)


def test_a_function_that_is_not_called_is_noticed() -> None:
    (_, submit), *_ = _call_tree()
    assert not _calls(submit, ("sessions/service.py", "reschedule"))
    assert not _calls(("sql/book_or_hold.sql", "book_or_hold"), ("sql/lock_pool.sql", "lock_pool"))


@pytest.mark.parametrize("page", ["architecture.md", "glossary.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = set(_FILE.findall(text))
    assert len(named) > 30
    missing = {one for one in named if not _is_there(one)}
    assert missing == set()


def _is_there(name: str) -> bool:
    pattern = name.rstrip("/")
    return any(next(iter(place.glob(pattern)), None) is not None for place in (PACKAGE, ROOT))


def test_every_function_that_the_page_names_with_its_file_exists() -> None:
    named = set(_NAMED.findall(PAGE))
    assert len(named) > 30
    assert {(name, file) for name, file in named if not _exists(file, name)} == set()


# -- packages ---------------------------------------------------------------------------------------


def _bands() -> list[set[str]]:
    picture = _section("Packages").partition("```mermaid\n")[2].partition("```")[0]
    return [set(names.split(" · ")) for names in re.findall(r'^ +\w+\["([\w ·]+)"\]$', picture, re.MULTILINE)]


def _first_level(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """The first-level packages and modules of ours that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "booking_tasks":
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("booking_tasks."):
            yield (node.module or "").split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (one.name.split(".")[1] for one in node.names if one.name.startswith("booking_tasks."))


def test_the_picture_shows_every_package_and_the_direction_of_all_imports() -> None:
    bands = _bands()
    files = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    assert sorted(one for band in bands for one in band) == sorted({_first_level(path) for path in files})
    height = {one: place for place, band in enumerate(bands) for one in band}
    upwards = {
        (_first_level(path), imported)
        for path in files
        for imported in _imports(path)
        if imported in height and height[imported] < height[_first_level(path)]
    }
    assert upwards == set()


# -- locks ------------------------------------------------------------------------------------------


def _locking() -> set[tuple[str, str]]:
    """(function, file) of everything in the package that takes a lock in PostgreSQL."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        file = str(path.relative_to(PACKAGE))
        lines = path.read_text(encoding="utf-8").splitlines()
        for name, nodes in _definitions(file).items():
            for node in nodes:
                if isinstance(node, ast.FunctionDef):
                    code = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                    if _LOCKS.search(code) or _LOCKS.search(_text_of(file, name)):
                        found.add((name, file))
    for path in (PACKAGE / "sql").glob("*.sql"):
        if _LOCKS.search(path.read_text(encoding="utf-8")):
            found.add((path.stem, f"sql/{path.name}"))
    return found


def test_every_lock_of_the_code_is_in_the_lock_order() -> None:
    named = set(_NAMED.findall(_section("The one lock order")))
    locking = _locking()
    assert len(locking) > 25
    assert locking - named == set()


# -- glossary ---------------------------------------------------------------------------------------


def _terms() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each part of the glossary with its terms and where they live."""
    for part in GLOSSARY.split("\n## ")[1:]:
        rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("| ")][1:]
        yield part.splitlines()[0], [(row[0].strip(), row[2].strip()) for row in rows]


def test_the_terms_of_the_glossary_are_in_order_and_each_is_explained_once() -> None:
    parts = dict(_terms())
    assert len(parts) > 4
    for title, rows in parts.items():
        names = [name for name, _ in rows]
        assert names == sorted(names, key=str.casefold), title
    every = [name for rows in parts.values() for name, _ in rows]
    assert len(every) == len(set(every)) > 60


def test_every_table_and_column_of_the_glossary_exists() -> None:
    tables = Base.metadata.tables
    checked = 0
    for _, rows in _terms():
        for term, place in rows:
            for table in re.findall(r"table `(\w+)`", place):
                assert table in tables, term
                checked += 1
            for table, column in re.findall(r"`(\w+)\.(\w+)`", place):
                if column not in {"py", "md"}:
                    assert column in tables[table].columns, term
                    checked += 1
    assert checked > 20
