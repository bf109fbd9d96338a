"""The heartbeat file says how old it may become."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from booking_tasks.kit.heartbeat import DEFAULT_SECONDS, greatest_age_in, touch_heartbeat


def test_the_next_process_that_uses_the_file_writes_its_own_age(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"

    touch_heartbeat(file, 180.0)
    assert greatest_age_in(file) == 180.0

    touch_heartbeat(file)
    assert greatest_age_in(file) == DEFAULT_SECONDS


def test_each_touch_is_a_sign_of_life(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    touch_heartbeat(file)
    os.utime(file, (0, 0))

    touch_heartbeat(file)

    assert file.stat().st_mtime > 0


@pytest.mark.parametrize("text", ["", "soon\n"], ids=["being written", "of another program"])
def test_a_file_without_an_age_has_the_default(tmp_path: Path, text: str) -> None:
    file = tmp_path / "heartbeat"
    file.write_text(text)

    assert greatest_age_in(file) == DEFAULT_SECONDS


def test_a_file_that_is_missing_is_no_heartbeat(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        greatest_age_in(tmp_path / "heartbeat")
