"""The heartbeat file of a process: its time is the last sign of life, its text the greatest age in seconds.

`booking-tasks health` reads both. So it needs neither the settings of the process nor to know what it is.
"""

from __future__ import annotations

from pathlib import Path

#: Worker, web and metrics touch their file every 5 s.
DEFAULT_SECONDS = 30.0


def touch_heartbeat(file: Path, greatest_age: float = DEFAULT_SECONDS) -> None:
    """Give a sign of life, which is too old after `greatest_age` seconds."""
    text = f"{greatest_age:g}\n"
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    file.touch()


def greatest_age_in(file: Path) -> float:
    """Return the greatest age that the process has written. Raises FileNotFoundError.

    Read it before the time of the file: a file that is just being written has no text yet, and is new.
    """
    try:
        return float(file.read_text())
    except ValueError:
        return DEFAULT_SECONDS
