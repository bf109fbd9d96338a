SELECT r.consultant_user_id, each.starts, each.ends
FROM free_ranges_v2(:consultants, :since, :until, :now) r
CROSS JOIN
    LATERAL (
        SELECT array_agg(lower(piece)) AS starts, array_agg(upper(piece)) AS ends FROM unnest(r.free) AS piece
    ) AS each
JOIN consultant_profiles c USING (consultant_user_id)
WHERE c.is_available_for_booking AND NOT isempty(r.free);
