"""The list of files of the second distribution, as its build hook makes it."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def client_files(source: Path) -> list[Path]:
    """The files of booking-tasks-client below a folder that contains the package."""
    hook = runpy.run_path(str(ROOT / "client" / "hatch_build.py"))
    found: list[Path] = hook["client_files"](source)
    return found
