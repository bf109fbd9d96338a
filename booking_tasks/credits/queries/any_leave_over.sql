-- Whether a leave of the last days may have ended and has no entry yet.
SELECT 1
FROM consultant_leaves l, clock
WHERE
    l.end_local > (instant AT TIME ZONE 'UTC') - :lookback
    AND l.end_local < (instant AT TIME ZONE 'UTC') + :zones
    AND NOT EXISTS (
        SELECT FROM assignment_credits c WHERE c.credit_type = 'leave' AND c.cause_id = l.id
    )
LIMIT 1;
