-- What booking_app and booking_reader may do with the tables that are there now. Run by their owner, or
-- a superuser, after every migration; `booking-tasks migrate` does.

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, booking_app, booking_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO booking_app;

-- Which step the schema stands at, and what time it is, the application may know and not decide.
-- History is written and, when old, forgotten; it is never rewritten. (Locking a row takes the right to
-- update some column: `position` is numbered by PostgreSQL itself.)
DO $$
BEGIN
    IF to_regclass('public.alembic_version') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.alembic_version FROM booking_app;
    END IF;
    IF to_regclass('public.stepped_clock') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.stepped_clock FROM booking_app;
    END IF;
    IF to_regclass('public.events') IS NOT NULL THEN
        REVOKE UPDATE ON public.events FROM booking_app;
        GRANT UPDATE (position) ON public.events TO booking_app;
    END IF;
END
$$;

-- The reader gets every column but those that say who somebody is, how to reach them, or what they wrote.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT a.attrelid::regclass AS tab, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS cols
          FROM pg_catalog.pg_attribute a
          JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = 'public'::regnamespace
           AND c.relkind IN ('r', 'p', 'v', 'm')
           AND a.attnum > 0
           AND NOT a.attisdropped
           AND (c.relname::text, a.attname::text) NOT IN (
                   ('directory_users', 'name'),
                   ('directory_users', 'email'),
                   ('consultant_profiles', 'bio'),
                   ('consultant_leaves', 'reason'),
                   ('absence_plans', 'reason'),
                   ('assignment_credits', 'reason'),
                   ('consultation_requests', 'request_details'),
                   ('consultation_requests', 'status_reason'),
                   ('scheduled_sessions', 'outcome_notes'),
                   ('scheduled_sessions', 'status_reason'),
                   ('scheduled_sessions', 'meeting_platform_join_url'),
                   ('inbox', 'body'),
                   ('inbox', 'outcome'),
                   ('parked_messages', 'arguments'),
                   ('events', 'reason'),
                   ('events', 'before'),
                   ('events', 'after'),
                   ('calendar_feeds', 'url'),
                   ('calendar_feeds', 'username'),
                   ('calendar_feeds', 'password'),
                   ('calendar_feeds', 'addresses'),
                   ('jobs', 'payload'),
                   ('jobs', 'last_error')
               )
         GROUP BY a.attrelid
    LOOP
        EXECUTE format('GRANT SELECT (%s) ON %s TO booking_reader', one.cols, one.tab);
    END LOOP;
END
$$;
