-- The trigger that refuses a status which no allowed step leads to. Its argument names the aggregate, as
-- `allowed_steps` does; a new row comes from the empty status.
CREATE FUNCTION check_status_step_v1()
RETURNS trigger
LANGUAGE plpgsql
SET search_path = public, pg_temp
AS $$
DECLARE
    former text := CASE WHEN TG_OP = 'UPDATE' THEN OLD.status::text ELSE '' END;
BEGIN
    PERFORM FROM allowed_steps s
      WHERE s.aggregate = TG_ARGV[0] AND s.before = former AND s.after = NEW.status;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING
            ERRCODE = 'check_violation',
            TABLE = TG_TABLE_NAME,
            MESSAGE = format(
                'no step leads a %s from %s to %s (id %s)', TG_ARGV[0],
                CASE WHEN former = '' THEN 'its beginning' ELSE former END, NEW.status, NEW.id
            ),
            HINT = 'allowed_steps lists the steps; docs/states.md draws them.';
    END IF;
    RETURN NULL;
END
$$;
