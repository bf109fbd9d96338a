-- Insert a reservation into the slot ledger. The constraints decide: what they refuse is raised as BT001, for
-- a block around the call to undo.
CREATE FUNCTION insert_reservation_v1(
    p_reservation uuid, p_status text, p_source text, p_consultant uuid, p_requester uuid, p_request uuid,
    p_session uuid, p_span tstzrange, p_start timestamptz, p_end timestamptz, p_now timestamptz,
    p_held_until timestamptz, p_hold_token uuid
)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    -- Rows that another transaction has locked are skipped: it is about to change them anyway.
    DELETE FROM consultant_availability_slots f WHERE f.id IN (
        SELECT e.id FROM consultant_availability_slots e
         WHERE e.status = 'held'
           AND e.held_until <= p_now
           AND tstzrange(e.start_time, e.end_time) && p_span
           AND (e.consultant_user_id = p_consultant OR e.requester_user_id = p_requester)
           FOR UPDATE SKIP LOCKED
    );
    INSERT INTO consultant_availability_slots (
        id, consultant_user_id, start_time, end_time, status, source, consultation_request_id,
        scheduled_session_id, requester_user_id, session_start_time, session_end_time, held_until,
        hold_token
    )
    VALUES (
        p_reservation, p_consultant, lower(p_span), upper(p_span), p_status, p_source, p_request,
        p_session, p_requester, p_start, p_end, p_held_until, p_hold_token
    )
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'BT001', MESSAGE = CASE WHEN EXISTS (
            SELECT FROM consultant_availability_slots f
             WHERE f.status IN ('held', 'booked')
               AND f.requester_user_id = p_requester
               AND tstzrange(f.session_start_time, f.session_end_time) && tstzrange(p_start, p_end)
        ) THEN 'requester_busy' ELSE 'slot_taken' END;
    END IF;
END
$$;
