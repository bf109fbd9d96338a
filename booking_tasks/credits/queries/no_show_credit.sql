SELECT
    e.consultation_service_type_id AS pool, coalesce((
        SELECT sum(n.amount) FROM assignment_credits n
        WHERE
            n.consultation_request_id = :request AND n.consultant_user_id = :who
            AND n.credit_type = 'no_show'
    ), 0) AS had
FROM assignment_credits e
WHERE
    e.consultation_request_id = :request AND e.consultant_user_id = :who
    AND e.credit_type = 'assignment'
    AND NOT EXISTS (
        SELECT FROM assignment_credits r
        WHERE r.reverses = e.id
    );
