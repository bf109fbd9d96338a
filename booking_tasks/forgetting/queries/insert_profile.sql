-- What others' credits and decisions refer to: the weight and the tier, and nothing else of the profile.
INSERT INTO consultant_profiles (
    consultant_user_id, is_available_for_booking, unavailable_since, assignment_weight, priority_tier,
    service_type_ids, company_ids, created_at
)
SELECT :person, false, :now, assignment_weight, priority_tier, '{}', '{}', created_at
FROM consultant_profiles
WHERE consultant_user_id = :user;
