INSERT INTO assignment_credits (
    id, consultation_service_type_id, consultant_user_id, credit_type,
    amount, credited_at, consultation_request_id
)
SELECT :id, :pool, :who, 'assignment', 1, :now, :request
WHERE
    NOT EXISTS (
        SELECT FROM assignment_credits e
        WHERE
            e.consultation_request_id = :request AND e.consultant_user_id = :who
            AND e.credit_type = 'assignment'
            AND NOT EXISTS (
                SELECT FROM assignment_credits r
                WHERE r.reverses = e.id
            )
    )
RETURNING id;
