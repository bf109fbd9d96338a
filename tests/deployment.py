"""docker-compose.yml and its secrets, as the tests read them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: one for name, one in COMPOSE["services"].items() if one["image"] == "booking-tasks"}
ONCE = {"migrate", "ready"}
RUNNING = OURS.keys() - ONCE - {"meetings"}


def make_secrets(folder: Path) -> Path:
    """Run `make secrets` in a folder; the folder that it made."""
    subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), "secrets"], cwd=folder, capture_output=True, check=True
    )
    return folder / "secrets"


def mounted(service: str) -> dict[str, str]:
    """Where a service finds each secret, and which file of the folder it is."""
    found = {}
    for one in COMPOSE["services"][service].get("secrets", []):
        source, target = (one, one) if isinstance(one, str) else (one["source"], one["target"])
        where = target if target.startswith("/") else f"/run/secrets/{target}"
        found[where] = Path(COMPOSE["secrets"][source]["file"]).name
    return found
