-- The code of a reservation that the constraint of `occupied_times` refused: `requester_busy` or `slot_taken`.
--
-- For the block that caught the violation: what it had done is undone, so the booking of p_session that was to
-- be replaced is there again, and does not count.
CREATE FUNCTION reservation_refusal_v1(
    p_requester uuid, p_start timestamptz, p_end timestamptz, p_session uuid
)
RETURNS text
LANGUAGE sql VOLATILE
AS $$
    SELECT CASE WHEN EXISTS (
               SELECT FROM occupied_times o
                WHERE o.person_id = p_requester
                  AND o.span && tstzrange(p_start, p_end)
                  AND (p_session IS NULL OR o.session_id IS DISTINCT FROM p_session)
           ) THEN 'requester_busy' ELSE 'slot_taken' END
$$;
