UPDATE absence_plans SET
    consultant_user_id = CASE WHEN consultant_user_id = :user THEN :person ELSE consultant_user_id END,
    reason = CASE WHEN consultant_user_id = :user THEN '' ELSE reason END,
    criteria = replace(criteria::text, CAST(:user AS text), CAST(:person AS text))::jsonb,
    actor = CASE WHEN lower(actor) LIKE :pattern THEN CAST(:person AS text) ELSE actor END
WHERE consultant_user_id = :user OR criteria::text LIKE :pattern OR lower(actor) LIKE :pattern;
