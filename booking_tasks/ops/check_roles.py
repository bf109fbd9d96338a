"""The check of PostgreSQL's roles: whether a cluster that has them has the newest one too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from booking_tasks.ops.findings import Finding, State
from booking_tasks.ops.roles import MAKE_ROLES, NO_WEB_ROLE


def roles(db: Any) -> Iterator[Finding]:
    """Report a missing role; a database whose processes share one account of its own has none of them."""
    [has_app, has_web] = db.execute(
        """
        SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'booking_app'),
               EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'booking_web')
        """
    ).fetchone()
    if has_app and not has_web:
        yield Finding("roles", State.WARNING, NO_WEB_ROLE, MAKE_ROLES)
