"""Reads a large table in ranges of blocks, so that no statement of it runs into its time limit."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

#: Blocks of 8 kB in one range: 64 MB, which a statement reads in about a second.
BLOCKS = 8192

_SIZE = text(
    "SELECT pg_relation_size(CAST(:table AS regclass)) / current_setting('block_size')::bigint AS blocks"
)


def block_ranges(db: Session, table: str) -> Iterator[dict[str, str]]:
    """Yield the bounds of each range of a table: the row identifiers (ctid) `first` and `behind`.

    Together they hold every row that this transaction sees. It needs one snapshot (`REPEATABLE READ`), or a
    row that is changed meanwhile could be in two ranges or in none.
    """
    blocks: int = db.execute(_SIZE, {"table": table}).scalar_one()
    for first in range(0, blocks, BLOCKS):
        yield {"first": f"({first},0)", "behind": f"({first + BLOCKS},0)"}
