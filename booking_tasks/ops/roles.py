"""PostgreSQL's roles: what they may do is said again after every migration, where they exist."""

from __future__ import annotations

from sqlalchemy import Connection, text

from booking_tasks.ops.secret_files import grants_sql

_ROLES_EXIST = text(
    "SELECT count(*) = 2 FROM pg_catalog.pg_roles WHERE rolname IN ('booking_app', 'booking_reader')"
)


#: The same condition in a script that somebody runs by hand.
_WHERE_ROLES_EXIST = """
-- The grants of grants.sql, where the roles exist.
DO $where_roles_exist$
BEGIN
    IF ({condition}) THEN
        EXECUTE $grants$
{grants}
$grants$;
    END IF;
END
$where_roles_exist$;
"""


def conditional_grants_sql() -> str:
    """Return grants.sql as one statement that does nothing where the roles do not exist."""
    return _WHERE_ROLES_EXIST.format(condition=_ROLES_EXIST.text, grants=grants_sql().strip())


def apply_grants(connection: Connection) -> bool:
    """Run grants.sql, in one transaction, when this cluster has the roles; whether it has."""
    with connection.begin():
        found = bool(connection.execute(_ROLES_EXIST).scalar_one())
        if found:
            connection.exec_driver_sql(grants_sql().replace("%", "%%"))
    return found
