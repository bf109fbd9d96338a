"""Python runs this first of all when its folder is on PYTHONPATH: the process's host has a wrong clock.

`WRONG_CLOCK` holds pairs `seconds:offset`: from so many seconds after the start on, every reading of the
host's clock is off by so many. The monotonic clock is left alone, as it is when a host's clock is set.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from datetime import UTC, datetime, tzinfo
from typing import Any

_steps = [tuple(map(float, one.split(":"))) for one in os.environ.get("WRONG_CLOCK", "").split() if one]
_began = time.monotonic()
_time, _time_ns = time.time, time.time_ns


def _offset() -> float:
    age = time.monotonic() - _began
    return next((offset for since, offset in reversed(_steps) if age >= since), 0.0)


def _wrong_now(_class: type, tz: tzinfo | None = None) -> datetime:
    return datetime.fromtimestamp(_time() + _offset(), tz)


def _wrong_utcnow(_class: type) -> datetime:
    return datetime.fromtimestamp(_time() + _offset(), UTC).replace(tzinfo=None)


def _set(name: str, value: Any) -> None:
    """Replace a method of the built-in class, for every module whenever it was imported."""
    [methods] = gc.get_referents(datetime.__dict__)
    methods[name] = classmethod(value)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


if _steps:
    time.time = lambda: _time() + _offset()
    time.time_ns = lambda: _time_ns() + int(_offset() * 1e9)
    _set("now", _wrong_now)
    _set("today", _wrong_now)
    _set("utcnow", _wrong_utcnow)
