UPDATE absence_plan_steps SET
    consultant_user_id = CASE WHEN consultant_user_id = :user THEN :person ELSE consultant_user_id END,
    before = replace(before::text, CAST(:user AS text), CAST(:person AS text))::jsonb
WHERE consultant_user_id = :user OR before::text LIKE :pattern;
