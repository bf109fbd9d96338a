SELECT consultant_user_id, array_agg(DISTINCT ineligibility_reason)
FROM
    evaluate_starts_v3(
        :consultants, :service_type, greatest(:since, CAST(:now AS timestamptz)),
        coalesce(:until, :now + interval '731 days'), :now
    )
WHERE ineligibility_reason IS NOT NULL
GROUP BY consultant_user_id;
