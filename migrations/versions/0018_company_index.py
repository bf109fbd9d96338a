"""index: which consultants a company had"""

from __future__ import annotations

from alembic import op

revision = "0018_company_index"
down_revision = "0017_assignment"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ix_consultation_requests_company"
        " ON consultation_requests (company_id, assigned_consultant_user_id)"
        " WHERE company_id IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ix_consultation_requests_company")
