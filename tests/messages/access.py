"""Brokers with the shipped accounts."""

from __future__ import annotations

from pathlib import Path

from booking_tasks.ops.secret_files import write_secrets
from booking_tasks.ops.servers import Valkey
from tests.rabbitmq_server import RabbitMQ


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


class GuardedRabbitMQ(RabbitMQ):
    """A RabbitMQ that loaded the shipped definitions, with passwords of its own; it has no other account."""

    def prepare(self) -> None:
        self.make_secrets()
        self.settings["load_definitions"] = str(self.secrets / "rabbitmq_definitions.json")
        super().prepare()

    def make_secrets(self) -> list[str]:
        """What `booking-tasks secrets` does."""
        return write_secrets(self.secrets, rabbitmq=f"127.0.0.1:{self.port}")

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def url_of(self, account: str) -> str:
        """The URL that an account of this broker gets."""
        name = "rabbitmq_url" if account == "worker" else f"rabbitmq_{account.replace('-', '_')}_url"
        return (self.secrets / name).read_text()
