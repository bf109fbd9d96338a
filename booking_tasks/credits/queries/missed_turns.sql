SELECT
    b.consultation_service_type_id AS pool,
    own.assignment_weight
    * (
        SELECT coalesce(sum(e.amount), 0) FROM assignment_credits e
        WHERE
            e.consultation_service_type_id = b.consultation_service_type_id
            AND e.consultant_user_id <> :who
            AND e.credit_type IN ('assignment', 'reversal', 'no_show')
            AND e.credited_at >= :since AND e.credited_at < :until
    )
    / (
        SELECT sum(c.assignment_weight) FROM assignment_balances o
        JOIN consultant_profiles c USING (consultant_user_id)
        WHERE
            o.consultation_service_type_id = b.consultation_service_type_id
            AND o.consultant_user_id <> :who AND c.is_available_for_booking
    ) AS amount
FROM assignment_balances b
JOIN consultant_profiles own USING (consultant_user_id)
WHERE b.consultant_user_id = :who;
