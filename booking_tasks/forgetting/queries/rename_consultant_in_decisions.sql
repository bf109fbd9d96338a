-- In a range of blocks. What it changes gets another place, and is not found again.
UPDATE assignment_decisions SET
    consultant_user_id = CASE WHEN consultant_user_id = :user THEN :person ELSE consultant_user_id END,
    inputs = replace(inputs::text, CAST(:user AS text), CAST(:person AS text))::jsonb,
    candidates = replace(candidates::text, CAST(:user AS text), CAST(:person AS text))::jsonb
WHERE
    ctid >= CAST(:first AS tid) AND ctid < CAST(:behind AS tid)
    AND (consultant_user_id = :user OR inputs::text LIKE :pattern OR candidates::text LIKE :pattern);
