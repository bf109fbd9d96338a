-- Insert a request from a row of `consultation_requests` as JSON; false when its id is in use.
--
-- The columns are the keys of p_row, so that a new column of the model needs no change here, and a column that
-- this release does not know keeps its default.
CREATE FUNCTION insert_request_v1(p_row jsonb)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    inserted bigint;
BEGIN
    -- plpgsql_check does not see that each name which string_agg joins is quoted, nor what EXECUTE writes.
    -- @plpgsql_check_options: security_warnings = off, performance_warnings = off
    EXECUTE (
        SELECT format(
                   'INSERT INTO consultation_requests (%1$s) SELECT %1$s'
                   ' FROM jsonb_populate_record(NULL::consultation_requests, $1)'
                   ' ON CONFLICT (id) DO NOTHING',
                   string_agg(quote_ident(k), ', ' ORDER BY k)
               )
          FROM jsonb_object_keys(p_row) AS k
    ) USING p_row;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    RETURN inserted > 0;
END
$$;
