"""Which test modules are slow to start, read from their source: `make unit` imports only the others.

Slow are those that need a server, start a process, try generated examples, or read the whole repository.

The fixtures of a module are its own, those that it imports, and those of the conftest.py files above it.
tests/conftest.py deselects after the collection whatever was overlooked here.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

#: The fixtures that start a server; every other fixture that needs one gets it through these.
SERVER_FIXTURES = frozenset(
    {
        "postgres",
        "guarded_postgres",
        "system_postgres",
        "server",
        "valkey",
        "rabbitmq_server",
        "guarded_rabbitmq",
    }
)
ROOT = Path(__file__).parent.parent


_USED_FIXTURES = re.compile(r"usefixtures\(([^)]*)\)")
_NAME = re.compile(r"\w+")


@cache
def _source(path: Path) -> str:
    return path.read_text()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_source(path))


def _arguments(function: ast.FunctionDef) -> set[str]:
    return {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}


def _is_fixture(function: ast.FunctionDef) -> bool:
    return any("fixture" in ast.unparse(one) for one in function.decorator_list)


def _is_autouse(function: ast.FunctionDef) -> bool:
    return any("autouse=True" in ast.unparse(one) for one in function.decorator_list)


@cache
def _fixtures(path: Path) -> dict[str, ast.FunctionDef]:
    """The fixtures of a module, also those that it imports from another module of the tests."""
    found: dict[str, ast.FunctionDef] = {}
    for node in _tree(path).body:
        match node:
            case ast.FunctionDef(name=name) if _is_fixture(node):
                found[name] = node
            case ast.ImportFrom(module=str(module), names=names) if module.startswith("tests."):
                source = ROOT / (module.replace(".", "/") + ".py")
                imported = _fixtures(source) if source.exists() else {}
                found |= {one.name: imported[one.name] for one in names if one.name in imported}
    return found


def _known_fixtures(module: Path) -> dict[str, ast.FunctionDef]:
    folders = [folder for folder in reversed(module.parents) if folder.is_relative_to(ROOT / "tests")]
    known: dict[str, ast.FunctionDef] = {}
    for path in (*(folder / "conftest.py" for folder in folders), module):
        known |= _fixtures(path) if path.exists() else {}
    return known


def unit_modules(cache: pytest.Cache) -> frozenset[Path]:
    """The modules whose tests are quick, without server, process or generated examples.

    To read them all takes longer than their tests: the list is kept until a file of the tests changes.
    """
    sources = sorted((ROOT / "tests").rglob("*.py"))
    state = [[str(path.relative_to(ROOT)), path.stat().st_mtime_ns] for path in sources]
    stored = cache.get("booking/unit_modules", {})
    if stored.get("state") != state:
        modules = [path for path in sources if path.name.startswith("test_") and _is_unit_module(path)]
        stored = {"state": state, "modules": [str(path.relative_to(ROOT)) for path in modules]}
        cache.set("booking/unit_modules", stored)
    return frozenset(ROOT / path for path in stored["modules"])


def _is_unit_module(module: Path) -> bool:
    return not _takes_long(module) and not needs_server(module)


#: What takes long by itself: other processes, thousands of generated examples, and servers that a module
#: starts in its own process, most of which stall or drip on purpose; also the settings of a whole deployment.
_SLOW_IMPORTS = frozenset(
    {
        *("subprocess", "hypothesis", "booking_tasks.calendars.sandbox", "tests.calendars.radicale"),
        *("tests.mail.servers", "tests.calendars.servers", "tests.messages.compressions"),
        *("booking_tasks.ops.fake_meeting_platform", "booking_tasks.ops.mail_sink", "tests.deployment"),
    }
)


def _takes_long(module: Path) -> bool:
    if ".rglob(" in _source(module):
        return True
    for node in _tree(module).body:
        match node:
            case ast.Import(names=names):
                imported = {one.name for one in names}
            case ast.ImportFrom(module=str(source), names=names):
                imported = {source, *(f"{source}.{one.name}" for one in names)}
            case _:
                continue
        if not _SLOW_IMPORTS.isdisjoint(imported):
            return True
    return False


def needs_server(module: Path) -> bool:
    """Whether a test of this module starts a server or a process of the service."""
    known = _known_fixtures(module)
    if "mark.stack" in _source(module):
        return True
    functions = [one for one in _tree(module).body if isinstance(one, ast.FunctionDef)]
    needed = {name for one in functions if one.name.startswith("test") for name in _arguments(one)}
    needed |= {name for name, function in known.items() if _is_autouse(function)}
    needed |= {name for names in _USED_FIXTURES.findall(_source(module)) for name in _NAME.findall(names)}
    resolved: set[str] = set()
    while needed - resolved:
        name = (needed - resolved).pop()
        resolved.add(name)
        needed |= _arguments(known[name]) if name in known else set()
    return not SERVER_FIXTURES.isdisjoint(resolved)
