-- Only what the balances count already, of requests that have ended. A reversal goes with what it reverses.
WITH chosen AS (
    SELECT c.id
    FROM assignment_credits c
    WHERE
        c.id IN (
            SELECT old.id
            FROM consultation_service_types t
            CROSS JOIN
                LATERAL (
                    SELECT e.id, e.credited_at
                    FROM assignment_credits e
                    WHERE
                        e.consultation_service_type_id = t.id AND e.credited_at < :before
                        AND e.is_counted AND e.credit_type <> 'reversal'
                        AND NOT EXISTS (
                            SELECT FROM assignment_credits r
                            WHERE r.reverses = e.id AND (r.credited_at >= :before OR NOT r.is_counted)
                        )
                        AND NOT EXISTS (
                            SELECT FROM consultation_requests q
                            WHERE
                                q.id = e.consultation_request_id
                                AND q.status NOT IN ('cancelled', 'completed', 'rejected')
                        )
                    ORDER BY e.credited_at
                    LIMIT :most
                ) AS old
            ORDER BY old.credited_at
            LIMIT :most
        )
    FOR UPDATE SKIP LOCKED
),

reversals AS (
    DELETE FROM assignment_credits WHERE reverses IN (SELECT chosen.id FROM chosen)
)

DELETE FROM assignment_credits
WHERE id IN (SELECT chosen.id FROM chosen)
RETURNING id;
