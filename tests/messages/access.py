"""A broker with the shipped ACL file."""

from __future__ import annotations

from pathlib import Path

from booking_tasks.ops.secret_files import write_secrets
from booking_tasks.ops.servers import Valkey


class GuardedValkey(Valkey):
    """A Valkey whose users are those of the shipped ACL file, with passwords of their own."""

    def prepare(self) -> None:
        write_secrets(self.secrets, redis=f"127.0.0.1:{self.port}")

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def command(self) -> list[str]:
        return [*super().command(), "--aclfile", str(self.secrets / "redis.acl")]

    def url_of(self, user: str) -> str:
        """The URL a user of this broker is given."""
        name = "redis_url" if user == "worker" else f"redis_{user.replace('-', '_')}_url"
        return (self.secrets / name).read_text()
