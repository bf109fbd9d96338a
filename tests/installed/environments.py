"""Virtual environments that contain what a distribution asks for, and nothing of development.

The packages are those of this environment, linked file by file: that takes seconds and no network. A test
with the marker `long` makes an environment by pip instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

#: Variables that would bring this environment's packages or settings into another one.
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DATABASE_URL", "REDIS_URL")


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """The installed distributions that these requirements ask for, with all that those ask for, by name."""
    found: dict[str, Distribution] = {}
    visited: set[tuple[str, str]] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        for extra in ("", *needed.extras):
            if (name, extra) in visited:
                continue
            visited.add((name, extra))
            found[name] = distribution(name)
            for text in found[name].requires or ():
                one = Requirement(text)
                if one.marker is None or one.marker.evaluate({"extra": extra}):
                    waiting.append(one)
    return found


def link(distributions: Iterable[Distribution], folder: Path) -> None:
    """Link the files of the distributions into a folder of packages."""
    for one in distributions:
        for file in one.files or ():
            if file.parts[0] == "..":  # a program
                continue
            place = folder / file
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                place.symlink_to(Path(str(one.locate_file(file))).resolve())


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True, with_pip=False)
        self.folder = folder
        self.python = folder / "bin" / "python"
        (self.packages,) = folder.glob("lib/python3*/site-packages")

    def install(self, *arguments: str | Path) -> None:
        """Install with pip; it is the pip of this environment, because the other one has none."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        environment = os.environ | {"PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        subprocess.run([*pip, *map(str, arguments)], check=True, env=environment)

    def add(self, wheel: Path, extras: Iterable[str] = ()) -> None:
        """Install a wheel, and link what it and these of its extras ask for."""
        self.install("--no-deps", "--no-index", wheel)
        (own,) = self.installed(_project(wheel))
        link(closure(requirements_of(own, extras)).values(), self.packages)

    def installed(self, name: str) -> list[Distribution]:
        """The distribution of this name in this environment, if it is there."""
        return list(Distribution.discover(path=[str(self.packages)], name=name))

    def run(
        self, *arguments: str | Path, folder: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment to its end."""
        program, *rest = map(str, arguments)
        return subprocess.run(
            [str(self.folder / "bin" / program), *rest],
            cwd=folder,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=800,
        )

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a process: nothing that points to this checkout."""
        kept = {name: value for name, value in os.environ.items() if name not in _OURS}
        return {name: value for name, value in kept.items() if not name.startswith("BOOKING_")} | more


def requirements_of(own: Distribution, extras: Iterable[str] = ()) -> list[str]:
    """The requirements of a distribution, with those of some of its extras."""
    requirements = [Requirement(text) for text in own.requires or ()]
    chosen = [
        one
        for one in requirements
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]
    for one in chosen:
        one.marker = None
    return [str(one) for one in chosen]


def _project(wheel: Path) -> str:
    return canonicalize_name(wheel.name.partition("-")[0])
