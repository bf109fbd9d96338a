ALTER TABLE calendar_feeds
    ADD COLUMN missing_time integer NOT NULL DEFAULT 0,
    ADD COLUMN superseded integer NOT NULL DEFAULT 0,
    ADD COLUMN ambiguous integer NOT NULL DEFAULT 0;
