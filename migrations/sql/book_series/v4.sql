-- Book a whole series, or nothing; then `conflicts` has every start that cannot be booked.
--
-- p_bookings are the arguments of book_start for each start, computed for sessions of p_length;
-- `other_length` as there. Locks the id of the series, the consultant, then both persons.
CREATE FUNCTION book_series_v4(
    p_series uuid, p_requester uuid, p_consultant uuid, p_service_type uuid, p_company uuid,
    p_now timestamptz, p_length interval, p_bookings jsonb,
    OUT refusal text, OUT length interval, OUT conflicts jsonb
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    one record;
    result record;
BEGIN
    conflicts := '[]';
    SELECT g.* INTO refusal, length FROM series_preconditions_v3(
        p_series, p_requester, p_consultant, p_service_type, p_company, jsonb_array_length(p_bookings), p_now
    ) g;
    IF refusal IS NULL AND length <> p_length THEN
        refusal := 'other_length';
    END IF;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = refusal;
    END IF;
    FOR one IN SELECT b.* FROM jsonb_to_recordset(p_bookings) AS b (
        reservation uuid, session uuid, request uuid, starts timestamptz, ends timestamptz, status text,
        new_request jsonb, decision jsonb, event jsonb, jobs jsonb
    ) LOOP
        SELECT s.* INTO result FROM book_start_v3(
            one.reservation, one.session, p_consultant, p_requester, one.request, p_service_type, one.starts,
            one.ends, p_now, false, one.status, one.new_request, one.decision, one.event, one.jobs
        ) s;
        IF result.refusal = 'other_length' THEN
            length := result.session_end - one.starts;
            RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = result.refusal;
        ELSIF result.refusal IS NOT NULL THEN
            conflicts := conflicts || jsonb_build_object('request', one.request, 'code', result.refusal);
        END IF;
    END LOOP;
    IF conflicts <> '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = 'conflicts';
    END IF;
EXCEPTION WHEN SQLSTATE 'BT001' THEN
    refusal := SQLERRM;
END
$$;
