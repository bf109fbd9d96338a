-- A choice that was being made while a consultant was forgotten may be stored afterwards, and names them.
-- Looked at are the latest decisions, if somebody was forgotten lately.
WITH naming AS (
    SELECT d.id
    FROM assignment_decisions d
    WHERE
        d.id >= :first_id
        AND EXISTS (SELECT FROM forgotten_people f WHERE f.forgotten_at >= :since)
        AND EXISTS (
            SELECT FROM jsonb_array_elements(d.candidates) c
            WHERE NOT EXISTS (
                SELECT FROM consultant_profiles p
                WHERE p.consultant_user_id = CAST(c.value ->> 'consultant_user_id' AS uuid)
            )
        )
    ORDER BY d.id
    LIMIT :most
    FOR UPDATE OF d SKIP LOCKED
)

UPDATE assignment_decisions SET
    candidates = coalesce((
        SELECT jsonb_agg(c.value ORDER BY c.ordinality)
        FROM jsonb_array_elements(assignment_decisions.candidates) WITH ORDINALITY c
        INNER JOIN consultant_profiles p
            ON CAST(c.value ->> 'consultant_user_id' AS uuid) = p.consultant_user_id
    ), '[]')
FROM naming
WHERE assignment_decisions.id = naming.id
RETURNING assignment_decisions.id;
