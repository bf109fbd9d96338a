"""catalogue: service types, consultants, declared hours, the directory's copy of people"""

from __future__ import annotations

from alembic import op

revision = "0001_catalogue"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.execute(
        """
        CREATE TABLE consultation_service_types (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            name VARCHAR NOT NULL,
            description TEXT,
            default_duration_minutes INTEGER NOT NULL,
            is_active BOOLEAN DEFAULT true NOT NULL,
            slot_step_minutes INTEGER DEFAULT 30 NOT NULL,
            buffer_before_minutes INTEGER DEFAULT 0 NOT NULL,
            buffer_after_minutes INTEGER DEFAULT 0 NOT NULL,
            minimum_notice_minutes INTEGER DEFAULT 0 NOT NULL,
            horizon_days INTEGER DEFAULT 90 NOT NULL,
            requires_confirmation BOOLEAN DEFAULT false NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_consultation_service_types PRIMARY KEY (id),
            CONSTRAINT ck_consultation_service_types_default_duration_minutes CHECK (default_duration_minutes BETWEEN 1 AND 1440),
            CONSTRAINT ck_consultation_service_types_slot_step_minutes CHECK (slot_step_minutes BETWEEN 1 AND 1440),
            CONSTRAINT ck_consultation_service_types_buffers CHECK (buffer_before_minutes BETWEEN 0 AND 1440 AND buffer_after_minutes BETWEEN 0 AND 1440),
            CONSTRAINT ck_consultation_service_types_minimum_notice_minutes CHECK (minimum_notice_minutes BETWEEN 0 AND 525600),
            CONSTRAINT ck_consultation_service_types_horizon_days CHECK (horizon_days BETWEEN 1 AND 730),
            CONSTRAINT uq_consultation_service_types_name UNIQUE (name)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE consultant_profiles (
            consultant_user_id UUID NOT NULL,
            bio TEXT,
            specializations TEXT[] DEFAULT '{}' NOT NULL,
            is_available_for_booking BOOLEAN DEFAULT true NOT NULL,
            time_zone VARCHAR DEFAULT 'UTC' NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_consultant_profiles PRIMARY KEY (consultant_user_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE availability_rules (
            id UUID DEFAULT gen_random_uuid() NOT NULL,
            consultant_user_id UUID NOT NULL,
            weekday INTEGER,
            local_date DATE,
            start_local TIME WITHOUT TIME ZONE NOT NULL,
            end_local TIME WITHOUT TIME ZONE NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            CONSTRAINT pk_availability_rules PRIMARY KEY (id),
            CONSTRAINT ck_availability_rules_weekday_or_date CHECK (num_nonnulls(weekday, local_date) = 1),
            CONSTRAINT ck_availability_rules_weekday CHECK (weekday BETWEEN 1 AND 7),
            CONSTRAINT uq_availability_rules_weekly UNIQUE (consultant_user_id, weekday, start_local),
            CONSTRAINT uq_availability_rules_single UNIQUE (consultant_user_id, local_date, start_local),
            CONSTRAINT fk_availability_rules_consultant_user_id FOREIGN KEY(consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE directory_users (
            user_id UUID NOT NULL,
            name VARCHAR NOT NULL,
            email VARCHAR NOT NULL,
            time_zone VARCHAR DEFAULT 'UTC' NOT NULL,
            language VARCHAR DEFAULT 'en' NOT NULL,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            updated_at TIMESTAMP WITH TIME ZONE,
            CONSTRAINT pk_directory_users PRIMARY KEY (user_id)
        )
        """
    )
    op.execute("CREATE INDEX ix_directory_users_email ON directory_users (email)")


def downgrade() -> None:
    op.execute("DROP TABLE directory_users")
    op.execute("DROP TABLE availability_rules")
    op.execute("DROP TABLE consultant_profiles")
    op.execute("DROP TABLE consultation_service_types")
    # btree_gist stays: other schemas of this database may use it by now.
