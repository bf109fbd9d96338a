"""When two messages are the same message."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def body_hash(task: str, body: dict[str, Any]) -> str:
    """A fingerprint of task and content; the order of keys does not matter."""
    canonical = json.dumps([task, body], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
