"""The latest value is recorded in the background, whatever becomes of the others."""

from __future__ import annotations

from threading import Event

from booking_tasks.kit.background import LatestRecorder

_SECONDS = 60


def test_whoever_records_never_waits_and_only_the_latest_counts() -> None:
    has_begun, may_go_on, is_done = Event(), Event(), Event()
    recorded: list[int] = []

    def record(value: int) -> None:
        has_begun.set()
        assert may_go_on.wait(_SECONDS)
        recorded.append(value)
        if value == 3:
            is_done.set()

    recorder = LatestRecorder(record, 0.0)
    recorder.put(1)
    assert has_begun.wait(_SECONDS)
    recorder.put(2)
    recorder.put(3)
    may_go_on.set()

    assert is_done.wait(_SECONDS)
    assert recorded == [1, 3]


def test_an_error_is_no_end() -> None:
    has_failed, is_done = Event(), Event()

    def record(value: str) -> None:
        if value == "bad":
            has_failed.set()
            raise OSError("the database is away")
        is_done.set()

    recorder = LatestRecorder(record, 0.0)
    recorder.put("bad")
    assert has_failed.wait(_SECONDS)
    recorder.put("good")

    assert is_done.wait(_SECONDS)
