"""outside calendars: where they are and how they were last read"""

from __future__ import annotations

from alembic import op

revision = "0011_outside_calendars"
down_revision = "0010_policies"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE calendar_feeds (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultant_user_id UUID NOT NULL,
            kind VARCHAR NOT NULL,
            url TEXT NOT NULL,
            username TEXT,
            password TEXT,
            addresses TEXT[] DEFAULT '{}' NOT NULL,
            all_day_busy BOOLEAN DEFAULT false NOT NULL,
            etag TEXT,
            last_modified TEXT,
            manner VARCHAR,
            read_until TIMESTAMP WITH TIME ZONE,
            due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            lease_token UUID,
            lease_until TIMESTAMP WITH TIME ZONE,
            good_at TIMESTAMP WITH TIME ZONE,
            tried_at TIMESTAMP WITH TIME ZONE,
            alerted_at TIMESTAMP WITH TIME ZONE,
            failures INTEGER DEFAULT 0 NOT NULL,
            unreadable INTEGER DEFAULT 0 NOT NULL,
            last_error TEXT,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_calendar_feeds PRIMARY KEY (id),
            CONSTRAINT ck_calendar_feeds_kind CHECK (kind IN ('ics', 'caldav')),
            CONSTRAINT ck_calendar_feeds_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
            CONSTRAINT ck_calendar_feeds_counts CHECK (failures >= 0 AND unreadable >= 0),
            CONSTRAINT fk_calendar_feeds_consultant_user_id
                FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_calendar_feeds_consultant_user_id ON calendar_feeds (consultant_user_id)")
    op.execute("CREATE INDEX ix_calendar_feeds_due_at ON calendar_feeds (due_at)")


def downgrade() -> None:
    op.execute("DROP TABLE calendar_feeds")
