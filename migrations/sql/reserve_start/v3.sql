-- Reserve one start for a hold, or for a session that moves: lock, evaluate, insert. A session that is booked
-- already keeps its length, p_length.
--
-- Planning the evaluation takes longer than evaluating one start, so each connection plans it once. All or
-- nothing: what was released for a reservation that is then refused comes back with the inner block.
CREATE FUNCTION reserve_start_v3(
    p_reservation uuid, p_status text, p_source text, p_consultant uuid, p_requester uuid, p_request uuid,
    p_service_type uuid, p_start timestamptz, p_now timestamptz, p_held_until timestamptz,
    p_hold_token uuid, p_session uuid, p_length interval
)
RETURNS TABLE (refusal text, session_end timestamptz)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    span tstzrange;
BEGIN
    SELECT j.* INTO refusal, span, session_end
      FROM evaluate_start_v3(p_consultant, p_service_type, p_start, p_now, p_session, p_length) j;
    IF refusal IS NULL THEN
        PERFORM lock_persons_v1(ARRAY[p_consultant, p_requester]);
        BEGIN
            DELETE FROM consultant_availability_slots f
             WHERE f.scheduled_session_id = p_session AND f.status = 'booked';
            PERFORM insert_reservation_v2(
                p_reservation, p_status, p_source, p_consultant, p_requester, p_request, p_session, span,
                p_start, session_end, p_now, p_held_until, p_hold_token
            );
        EXCEPTION WHEN exclusion_violation THEN
            refusal := reservation_refusal_v1(p_requester, p_start, session_end, p_session);
        END;
    END IF;
    IF refusal IS NOT NULL THEN
        session_end := NULL;
    END IF;
    RETURN NEXT;
END
$$;
