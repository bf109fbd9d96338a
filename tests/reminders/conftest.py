"""The mail server's fixture."""

from tests.mail.servers import post

__all__ = ["post"]
