"""`python -m booking_tasks.ops`: the command line, also where scripts are not on the path."""

from __future__ import annotations

from booking_tasks.ops.cli import main

main()
