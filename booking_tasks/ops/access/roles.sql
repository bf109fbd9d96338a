-- The roles of the database. A superuser runs this once in the service's database, and may run it again at any
-- time: it creates what is missing and corrects what differs.
--
--   booking_owner     owns the tables and functions; it cannot log in
--   booking_migrator  changes the schema: what it creates belongs to booking_owner
--   booking_app       workers and beats: rows, never the schema
--   booking_web       the pages behind the links in mails: what they show, and what an answer changes
--   booking_reader    reports: reads no names, addresses or texts of people
--
-- The roles belong to the whole cluster and get no password here: `booking-tasks secrets` writes one for
-- each, or set them yourself (ALTER ROLE booking_app PASSWORD '...'). The grants on the tables are in grants.sql,
-- which every `booking-tasks migrate` applies when these roles exist.

DO $$
DECLARE
    required text;
BEGIN
    FOREACH required IN ARRAY
        ARRAY['booking_owner', 'booking_migrator', 'booking_app', 'booking_web', 'booking_reader']
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = required) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I', required);
        END IF;
    END LOOP;
END
$$;

ALTER ROLE booking_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE booking_migrator LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE booking_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE booking_web LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE booking_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
GRANT booking_owner TO booking_migrator;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO booking_owner;
GRANT USAGE ON SCHEMA public TO booking_app, booking_web, booking_reader;

-- Set per database, so that other databases of the cluster are unchanged. Temporary tables come first in every
-- search path unless it names them; so no role may create them, and the path names them last.
DO $$
DECLARE
    here text := pg_catalog.current_database();
    one text;
BEGIN
    EXECUTE pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC', here);
    EXECUTE pg_catalog.format('GRANT CONNECT, CREATE ON DATABASE %I TO booking_owner', here);
    EXECUTE pg_catalog.format(
        'GRANT CONNECT ON DATABASE %I TO booking_migrator, booking_app, booking_web, booking_reader', here
    );
    FOREACH one IN ARRAY ARRAY['booking_migrator', 'booking_app', 'booking_web', 'booking_reader'] LOOP
        EXECUTE pg_catalog.format('ALTER ROLE %I IN DATABASE %I SET search_path = public, pg_temp', one, here);
    END LOOP;
    EXECUTE pg_catalog.format('ALTER ROLE booking_migrator IN DATABASE %I SET role = booking_owner', here);
    EXECUTE pg_catalog.format(
        'ALTER ROLE booking_reader IN DATABASE %I SET default_transaction_read_only = on', here
    );
END
$$;

-- The session settings of the service, also where `booking-tasks metrics` runs as booking_reader. Behind a pooler only
-- those of the role have an effect; a direct connection sets them itself. `booking-tasks roles` writes the time-outs of
-- BOOKING_STATEMENT_TIMEOUT and BOOKING_LOCK_TIMEOUT.
DO $$
DECLARE
    here text := pg_catalog.current_database();
    one record;
BEGIN
    FOR one IN
        SELECT r.role, s.name, s.setting
          FROM (VALUES
               ('statement_timeout', '30000ms'),
               ('lock_timeout', '10000ms'),
               ('idle_in_transaction_session_timeout', '60000ms'),
               ('client_connection_check_interval', '1000ms'),
               ('TimeZone', 'UTC')
               ) AS s (name, setting),
               (VALUES ('booking_app'), ('booking_web'), ('booking_reader')) AS r (role)
    LOOP
        EXECUTE pg_catalog.format('ALTER ROLE %I IN DATABASE %I SET %I = %L', one.role, here, one.name, one.setting);
    END LOOP;
END
$$;

-- Objects that were created before the roles get the new owner; extensions and their parts keep theirs.
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT c.oid::regclass AS name
          FROM pg_catalog.pg_class c
         WHERE c.relnamespace = 'public'::regnamespace
           AND c.relkind IN ('r', 'p', 'v', 'm')
           AND c.relowner <> 'booking_owner'::regrole
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s OWNER TO booking_owner', one.name);
    END LOOP;
    FOR one IN
        SELECT p.oid::regprocedure AS name
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'public'::regnamespace
           AND p.proowner <> 'booking_owner'::regrole
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE pg_catalog.format('ALTER ROUTINE %s OWNER TO booking_owner', one.name);
    END LOOP;
END
$$;
