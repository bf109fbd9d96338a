"""Choose the files of booking-tasks-client: what the client and the contracts import, and nothing else.

The list is made from the imports, those inside functions and for type checkers included, so that no list can
be out of date.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "booking_tasks"
#: How Celery and kombu take the place of a class: as text.
_PLACE = re.compile(rf"{PACKAGE}(\.\w+)+:\w+")
ENTRIES = (f"{PACKAGE}.client", f"{PACKAGE}.contracts")


def _file_of(source: Path, module: str) -> Path | None:
    """The file of a module below the folder that contains the package, or None."""
    path = source.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if one.is_file()), None)


def _imported(file: Path) -> Iterator[str]:
    """The modules of the package that a file imports anywhere, or names for Celery and kombu."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (one.name for one in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield module
                yield from (f"{module}.{one.name}" for one in names)  # it may be a module
            case ast.Constant(value=str(text)) if _PLACE.fullmatch(text):
                yield text.partition(":")[0]


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def client_files(source: Path) -> list[Path]:
    """The files of the client below the folder that contains the package, relative to that folder."""
    found: dict[str, Path] = {}
    waiting = list(ENTRIES)
    while waiting:
        for module in _with_parents(waiting.pop()):
            file = _file_of(source, module)
            if file is not None and module not in found:
                found[module] = file
                waiting += (one for one in _imported(file) if one.partition(".")[0] == PACKAGE)
    return sorted(file.relative_to(source) for file in found.values())


class ClientFiles(BuildHookInterface[Any]):
    """Hatchling's hook: it adds the files to the wheel and to the source archive."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        here = Path(self.root)
        source = here if (here / PACKAGE).is_dir() else here.parent  # a source archive, or a checkout
        files = [*client_files(source), Path(PACKAGE, "py.typed")]
        build_data["force_include"] |= {str(source / file): file.as_posix() for file in files}
