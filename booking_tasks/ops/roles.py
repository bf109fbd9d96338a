"""PostgreSQL's roles: what they may do is said again after every migration, where they exist."""

from __future__ import annotations

from sqlalchemy import Connection, text

from booking_tasks.ops.secret_files import grants_sql

_ROLES_EXIST = text(
    "SELECT count(*) = 2 FROM pg_catalog.pg_roles WHERE rolname IN ('booking_app', 'booking_reader')"
)
#: A cluster whose roles were made by an older release does not have it.
_WEB_EXISTS = text("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'booking_web')")
#: What an operator is told where it is missing.
NO_WEB_ROLE = "the role booking_web does not exist, as which booking-tasks web connects"
MAKE_ROLES = "run what booking-tasks roles prints as superuser in this database, and give it a password"


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


def apply_grants(connection: Connection) -> str | None:
    """Run grants.sql, in one transaction, when this cluster has the roles.

    Returns what is to be done where it has them without the newest one, which only a superuser can make.
    """
    with connection.begin():
        if not connection.execute(_ROLES_EXIST).scalar_one():
            return None
        connection.exec_driver_sql(grants_sql().replace("%", "%%"))
        has_web = connection.execute(_WEB_EXISTS).scalar_one()
    return None if has_web else f"{NO_WEB_ROLE}: {MAKE_ROLES}"
