"""The passwords of a deployment, each in a file, and the files that servers and services read.

    booking-tasks secrets [FOLDER]            or, in a checkout, `make secrets`

Existing passwords are kept, so that a second run only adds what is new; remove the file of a password to get
another one. Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from pathlib import Path

ACCESS = Path(__file__).parent / "access"
_PLACE = re.compile(r"<([a-z-]+)>")

#: PostgreSQL's roles that log in.
ROLES = ("booking_migrator", "booking_app", "booking_reader")


def acl_users(template: str) -> list[str]:
    """Return the users of an ACL template that have a password."""
    return sorted(set(_PLACE.findall(_without_comments(template))))


def acl_file(template: str, passwords: dict[str, str]) -> str:
    """Return the ACL file for Redis and Valkey: one line for each user, with hashes of the passwords."""
    joined = re.sub(r"\n[ \t]+", " ", _without_comments(template))
    lines = "".join(f"{line}\n" for line in joined.splitlines() if line)
    return _PLACE.sub(lambda place: _hash(passwords[place[1]]), lines)


def _without_comments(template: str) -> str:
    return "\n".join(line for line in template.splitlines() if not line.startswith("#"))


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def roles_file(passwords: dict[str, str]) -> str:
    """Return roles.sql and grants.sql in one, with a password for each role that logs in."""
    logins = [f"ALTER ROLE {role} PASSWORD '{passwords[role]}';" for role in ROLES]
    return "\n".join([roles_sql(), *logins, ""])


def roles_sql() -> str:
    """Return the statements that create the roles with their grants, for a superuser."""
    return f"{(ACCESS / 'roles.sql').read_text()}\n{grants_sql()}"


def grants_sql() -> str:
    """Return the grants of the roles on the existing tables."""
    return (ACCESS / "grants.sql").read_text()


def write_secrets(
    folder: Path, redis: str = "redis:6379", postgres: str = "postgres:5432", database: str = "booking_tasks"
) -> list[str]:
    """Write the missing files into a folder that only its owner may enter; returns the names written.

    `redis` and `postgres` are host and port for the services.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    template = (ACCESS / "redis.acl").read_text()
    written: list[str] = []
    brokers = {
        user: _password(folder, f"redis_{user.replace('-', '_')}_password", written)
        for user in acl_users(template)
    }
    roles = {role: _password(folder, f"{role}_password", written) for role in ROLES}
    for other in ("postgres_password", "link_secret"):
        _password(folder, other, written)
    files = {
        "redis.acl": acl_file(template, brokers),
        "roles.sql": roles_file(roles),
        "database_url": f"postgresql://booking_app:{roles['booking_app']}@{postgres}/{database}",
        "migrator_database_url": f"postgresql://booking_migrator:{roles['booking_migrator']}"
        f"@{postgres}/{database}",
        **{
            f"redis_{user.replace('-', '_')}_url": f"redis://{user}:{password}@{redis}/0"
            for user, password in brokers.items()
        },
    }
    files["redis_url"] = files.pop("redis_worker_url")
    for name, content in files.items():
        _write(folder / name, content, written)
    return written


def _password(folder: Path, name: str, written: list[str]) -> str:
    path = folder / name
    if not path.exists():
        _write(path, secrets.token_hex(24), written)
    return path.read_text().strip()


def _write(path: Path, content: str, written: list[str]) -> None:
    if path.exists() and path.read_text() == content:
        return
    path.write_text(content)
    path.chmod(0o644)  # the folder protects it; containers read it under other users
    written.append(path.name)


def main(arguments: list[str]) -> None:
    """Write the secrets of docker-compose.yml."""
    folder = Path(arguments[0] if arguments else "secrets")
    for name in write_secrets(folder):
        sys.stdout.write(f"{os.path.join(folder, name)}\n")  # noqa: PTH118 - as the argument was written


if __name__ == "__main__":
    main(sys.argv[1:])
