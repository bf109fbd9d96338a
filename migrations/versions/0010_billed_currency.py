"""The currency of what was billed, and the exact amount in its minor units.

`billed_amount` has two decimals, and some currencies have three or four. Amounts of before keep no currency.
"""

from __future__ import annotations

from alembic import op

revision = "0010_billed_currency"
down_revision = "0009_session_mailboxes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE scheduled_sessions ADD COLUMN billed_currency varchar,"
        " ADD COLUMN billed_minor_units bigint"
    )
    op.execute(
        "ALTER TABLE scheduled_sessions ADD CONSTRAINT ck_scheduled_sessions_billed_currency"
        " CHECK ((billed_currency IS NULL) = (billed_minor_units IS NULL) AND billed_minor_units >= 0) NOT VALID"
    )
    op.execute("ALTER TABLE scheduled_sessions VALIDATE CONSTRAINT ck_scheduled_sessions_billed_currency")


def downgrade() -> None:
    op.execute("ALTER TABLE scheduled_sessions DROP COLUMN billed_minor_units, DROP COLUMN billed_currency")
