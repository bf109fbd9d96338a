-- Insert a reservation into the slot ledger. The constraint of `occupied_times` decides: an exclusion violation
-- is raised, for the caller's block to undo and to name with reservation_refusal.
--
-- Holds that are over and stand in the way are deleted first: of either person, in whatever role. Those that
-- another transaction has locked are skipped: it is about to change them anyway.
CREATE FUNCTION insert_reservation_v2(
    p_reservation uuid, p_status text, p_source text, p_consultant uuid, p_requester uuid, p_request uuid,
    p_session uuid, p_span tstzrange, p_start timestamptz, p_end timestamptz, p_now timestamptz,
    p_held_until timestamptz, p_hold_token uuid
)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM consultant_availability_slots f WHERE f.id IN (
        SELECT e.id
          FROM consultant_availability_slots e
         WHERE e.status = 'held'
           AND e.held_until <= p_now
           AND e.id IN (
               SELECT o.reservation_id
                 FROM occupied_times o
                WHERE o.held_until <= p_now
                  AND (
                      (o.person_id = p_consultant AND o.span && p_span)
                      OR (o.person_id = p_requester AND o.span && tstzrange(p_start, p_end))
                  )
           )
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
    );
END
$$;
