-- Everyone in id order with what is known of them. Locks the fairness pool.
SELECT
    p.consultant_user_id, p.is_available_for_booking, p.specializations, p.languages, p.service_type_ids,
    p.company_ids, p.assignment_weight, p.assignment_capacity, p.priority_tier, p.time_zone,
    s.credits, s.assigned_at, b.requires_confirmation,
    CASE
        WHEN NOT p.is_available_for_booking THEN 0.0
        WHEN EXISTS (
            SELECT FROM scheduled_sessions s
            WHERE
                s.requester_user_id = :requester
                AND s.consultant_user_id = p.consultant_user_id
                AND s.status NOT LIKE 'cancelled%'
        ) THEN 1.0
        WHEN EXISTS (
            SELECT FROM consultation_requests r
            WHERE
                r.company_id = :company
                AND r.assigned_consultant_user_id = p.consultant_user_id
                AND r.status IN ('scheduled', 'completed')
        ) THEN 0.5
        ELSE 0.0
    END AS known,
    CASE
        WHEN p.assignment_capacity IS NULL THEN 0
        ELSE count_reservations_ahead_v2(p.consultant_user_id, :now)
    END AS load,
    (SELECT u.time_zone FROM directory_users u WHERE u.user_id = :requester) AS requester_zone,
    EXISTS(SELECT FROM specialization_aliases) AS has_aliases
FROM consultant_profiles p
LEFT JOIN lock_pool_v1(:pool, :now) s USING (consultant_user_id)
LEFT JOIN booking_policies_v2(
    array(SELECT consultant_user_id FROM consultant_profiles), :pool, :now
) b USING (consultant_user_id)
ORDER BY p.consultant_user_id;
