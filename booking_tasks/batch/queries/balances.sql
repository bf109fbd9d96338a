SELECT
    c.consultant_user_id, b.credits + coalesce(e.credits, 0), c.assignment_weight,
    greatest(b.assigned_at, e.assigned_at)
FROM consultant_profiles c
LEFT JOIN assignment_balances b
    ON b.consultation_service_type_id = :pool AND b.consultant_user_id = c.consultant_user_id
LEFT JOIN (
    SELECT
        consultant_user_id, sum(amount) AS credits,
        max(credited_at) FILTER (WHERE credit_type = 'assignment') AS assigned_at
    FROM assignment_credits
    WHERE consultation_service_type_id = :pool AND NOT is_counted
    GROUP BY consultant_user_id
) e ON e.consultant_user_id = c.consultant_user_id
WHERE c.is_available_for_booking AND (c.service_type_ids IS NULL OR :pool = ANY(c.service_type_ids))
ORDER BY c.consultant_user_id;
