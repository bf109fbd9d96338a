"""The addresses of answers on RabbitMQ: `answers.<account>.<uuid>`, a queue that its account has declared."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

#: An account's name without dots: a permission for `answers.shop.` would cover those of an account `shop.x`.
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_answer_address(account: str) -> str:
    """Return an address that nobody can guess. Raises ValueError when the account's name cannot be in one."""
    if not _ACCOUNT.fullmatch(account):
        raise ValueError(
            f"the RabbitMQ account {account!r} can have no answers: use letters, digits, - and _ only"
        )
    return f"answers.{account}.{uuid4()}"


def address_problem(address: Any, account: Any) -> str | None:
    """Return why no answer may be sent to an address that this account claims, or None when it may.

    `account` is the property `user_id` of the message, which RabbitMQ verifies.
    """
    if not isinstance(account, str) or not account:
        return "user_id is missing: send the name of your account, which RabbitMQ verifies"
    if not isinstance(address, str) or not address:
        return "reply_to is missing: send answers.<account>.<uuid>"
    prefix, _, uuid = address.rpartition(".")
    if not _ACCOUNT.fullmatch(account) or prefix != f"answers.{account}" or not _UUID.fullmatch(uuid):
        return "reply_to is not answers.<account>.<uuid> with the account of user_id"
    return None
