-- Lock the fairness pool of a service type, add up what was appended since, and return the balances.
--
-- Volatile, so that the statements after the lock see everything that was committed before the lock was
-- granted.
CREATE FUNCTION lock_pool_v1(p_pool uuid, p_now timestamptz)
RETURNS TABLE (consultant_user_id uuid, credits numeric, assigned_at timestamptz)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('assignment pool:' || p_pool, 0));
    WITH fresh AS (
        UPDATE assignment_credits e
           SET is_counted = true
         WHERE e.consultation_service_type_id = p_pool AND NOT e.is_counted
        RETURNING e.consultant_user_id, e.credit_type, e.amount, e.credited_at
    )
    INSERT INTO assignment_balances AS b (
        consultation_service_type_id, consultant_user_id, credits, assigned_at
    )
    SELECT p_pool, f.consultant_user_id, sum(f.amount),
           max(f.credited_at) FILTER (WHERE f.credit_type = 'assignment')
      FROM fresh f
     GROUP BY f.consultant_user_id
    ON CONFLICT (consultation_service_type_id, consultant_user_id) DO UPDATE
        SET credits = b.credits + excluded.credits,
            assigned_at = greatest(b.assigned_at, excluded.assigned_at);
    -- A new member starts at the average of the others, in proportion to their weights.
    WITH members AS (
        SELECT c.consultant_user_id, c.assignment_weight, b.credits
          FROM consultant_profiles c
          LEFT JOIN assignment_balances b
            ON b.consultation_service_type_id = p_pool AND b.consultant_user_id = c.consultant_user_id
         WHERE c.is_available_for_booking
           AND (c.service_type_ids IS NULL OR p_pool = ANY (c.service_type_ids))
    ), newcomers AS (
        SELECT m.consultant_user_id,
               round(m.assignment_weight * coalesce(
                   (SELECT sum(o.credits) / sum(o.assignment_weight)
                      FROM members o WHERE o.credits IS NOT NULL), 0
               ), 6) AS amount
          FROM members m
         WHERE m.credits IS NULL
    ), written AS (
        INSERT INTO assignment_credits (
            consultation_service_type_id, consultant_user_id, credit_type, amount, credited_at, is_counted
        )
        SELECT p_pool, n.consultant_user_id, 'newcomer', n.amount, p_now, true
          FROM newcomers n WHERE n.amount <> 0
    )
    INSERT INTO assignment_balances (consultation_service_type_id, consultant_user_id, credits)
    SELECT p_pool, n.consultant_user_id, n.amount FROM newcomers n;
    RETURN QUERY
        SELECT b.consultant_user_id, b.credits, b.assigned_at
          FROM assignment_balances b
         WHERE b.consultation_service_type_id = p_pool;
END
$$;
