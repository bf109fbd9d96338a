"""The passwords of a deployment, each in a file, and the files that servers and services read.

    booking-tasks secrets [FOLDER]            or, in a checkout, `make secrets`

Existing passwords are kept, so that a second run only adds what is new; remove the file of a password to get
another one. Standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

ACCESS = Path(__file__).parent / "access"
_PLACE = re.compile(r"<([a-z-]+)>")

#: PostgreSQL's roles that log in.
ROLES = ("booking_migrator", "booking_app", "booking_web", "booking_reader")


def accounts_of(template: str) -> list[str]:
    """Return the accounts of a template that have a password."""
    return sorted(set(_PLACE.findall(_without_comments(template))))


def acl_file(template: str, passwords: dict[str, str]) -> str:
    """Return the ACL file for Redis and Valkey: one line for each user, with hashes of the passwords."""
    joined = re.sub(r"\n[ \t]+", " ", _without_comments(template))
    lines = "".join(f"{line}\n" for line in joined.splitlines() if line)
    return _PLACE.sub(lambda place: _hash(passwords[place[1]]), lines)


def definitions_file(template: str, passwords: dict[str, str]) -> str:
    """Return RabbitMQ's definitions with hashes of the accounts' passwords."""
    return _PLACE.sub(lambda place: _rabbitmq_hash(passwords[place[1]]), template)


def _rabbitmq_hash(password: str) -> str:
    """Return RabbitMQ's hash; its salt derives from the password, so that a second run changes nothing."""
    salt = hashlib.sha256(b"salt" + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _without_comments(template: str) -> str:
    return "\n".join(line for line in template.splitlines() if not line.startswith("#"))


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def roles_file(passwords: dict[str, str]) -> str:
    """Return roles.sql and grants.sql in one, with a password for each role that logs in."""
    logins = [f"ALTER ROLE {role} PASSWORD '{passwords[role]}';" for role in ROLES]
    return "\n".join([roles_sql(), *logins, ""])


def roles_sql(session_settings: Mapping[str, str] | None = None) -> str:
    """Return the statements that create the roles with their grants, for a superuser.

    `session_settings` are those of the service's sessions; the file has those of the default settings.
    """
    text = (ACCESS / "roles.sql").read_text()
    for name, setting in (session_settings or {}).items():
        text = re.sub(rf"\('{name}', '[^']*'\)", f"('{name}', '{setting}')", text)
    return f"{text}\n{grants_sql()}"


def grants_sql() -> str:
    """Return the grants of the roles on the existing tables."""
    return (ACCESS / "grants.sql").read_text()


def write_secrets(
    folder: Path,
    redis: str = "redis:6379",
    postgres: str = "postgres:5432",
    database: str = "booking_tasks",
    rabbitmq: str = "rabbitmq:5672",
) -> list[str]:
    """Write the missing files into a folder that only its owner may enter; returns the names written.

    `redis`, `postgres` and `rabbitmq` are host and port for the services.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[str] = []
    files = (
        _redis_files(folder, redis, written)
        | _rabbitmq_files(folder, rabbitmq, written)
        | _postgres_files(folder, f"{postgres}/{database}", written)
    )
    for other in ("postgres_password", "link_secret"):
        _password(folder, other, written)
    for name, content in files.items():
        _write(folder / name, content, written)
    return written


def _redis_files(folder: Path, address: str, written: list[str]) -> dict[str, str]:
    template = (ACCESS / "redis.acl").read_text()
    passwords = _passwords(folder, "redis", template, written)
    urls = {
        f"redis_{account.replace('-', '_')}_url": f"redis://{account}:{password}@{address}/0"
        for account, password in passwords.items()
    }
    urls["redis_url"] = urls.pop("redis_worker_url")
    return {"redis.acl": acl_file(template, passwords)} | urls


def _rabbitmq_files(folder: Path, address: str, written: list[str]) -> dict[str, str]:
    template = (ACCESS / "rabbitmq.json").read_text()
    passwords = _passwords(folder, "rabbitmq", template, written)
    urls = {
        f"rabbitmq_{account.replace('-', '_')}_url": f"amqp://{account}:{password}@{address}/booking"
        for account, password in passwords.items()
    }
    urls["rabbitmq_url"] = urls.pop("rabbitmq_worker_url")
    return {"rabbitmq_definitions.json": definitions_file(template, passwords)} | urls


def _postgres_files(folder: Path, address: str, written: list[str]) -> dict[str, str]:
    roles = {role: _password(folder, f"{role}_password", written) for role in ROLES}
    return {
        "roles.sql": roles_file(roles),
        "database_url": f"postgresql://booking_app:{roles['booking_app']}@{address}",
        "web_database_url": f"postgresql://booking_web:{roles['booking_web']}@{address}",
        "migrator_database_url": f"postgresql://booking_migrator:{roles['booking_migrator']}@{address}",
        "reader_database_url": f"postgresql://booking_reader:{roles['booking_reader']}@{address}",
    }


def _passwords(folder: Path, server: str, template: str, written: list[str]) -> dict[str, str]:
    return {
        account: _password(folder, f"{server}_{account.replace('-', '_')}_password", written)
        for account in accounts_of(template)
    }


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
