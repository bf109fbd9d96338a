SELECT
    b.consultation_service_type_id AS pool, b.credits + coalesce((
        SELECT sum(e.amount) FROM assignment_credits e
        WHERE
            e.consultation_service_type_id = b.consultation_service_type_id
            AND e.consultant_user_id = b.consultant_user_id AND NOT e.is_counted
    ), 0) AS credits
FROM assignment_balances b
WHERE b.consultant_user_id = :who;
