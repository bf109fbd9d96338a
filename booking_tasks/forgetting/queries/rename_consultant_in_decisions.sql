UPDATE assignment_decisions SET
    consultant_user_id = CASE WHEN consultant_user_id = :user THEN :person ELSE consultant_user_id END,
    inputs = replace(inputs::text, CAST(:user AS text), CAST(:person AS text))::jsonb,
    candidates = replace(candidates::text, CAST(:user AS text), CAST(:person AS text))::jsonb
WHERE consultant_user_id = :user OR inputs::text LIKE :pattern OR candidates::text LIKE :pattern;
