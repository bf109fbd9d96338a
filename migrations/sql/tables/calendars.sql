-- One outside calendar of a consultant; its busy time is stored as blocks of the slot ledger.
CREATE TABLE calendar_feeds (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    consultant_user_id uuid NOT NULL,
    feed_type varchar NOT NULL,
    url text NOT NULL,
    username text,
    password text,
    addresses text[] NOT NULL DEFAULT '{}',
    all_day_busy boolean NOT NULL DEFAULT false,
    etag text,
    last_modified text,
    options_digest varchar,
    read_until timestamptz,
    due_at timestamptz NOT NULL DEFAULT now(),
    lease_token uuid,
    lease_until timestamptz,
    good_at timestamptz,
    tried_at timestamptz,
    alerted_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    unreadable integer NOT NULL DEFAULT 0,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz,
    CONSTRAINT pk_calendar_feeds PRIMARY KEY (id),
    CONSTRAINT ck_calendar_feeds_feed_type CHECK (feed_type IN ('ics', 'caldav')),
    CONSTRAINT ck_calendar_feeds_lease CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
    CONSTRAINT ck_calendar_feeds_counts CHECK (failures >= 0 AND unreadable >= 0),
    CONSTRAINT fk_calendar_feeds_consultant_user_id
        FOREIGN KEY (consultant_user_id) REFERENCES consultant_profiles (consultant_user_id)
);

CREATE INDEX ix_calendar_feeds_consultant_user_id ON calendar_feeds (consultant_user_id);

CREATE INDEX ix_calendar_feeds_due_at ON calendar_feeds (due_at);
