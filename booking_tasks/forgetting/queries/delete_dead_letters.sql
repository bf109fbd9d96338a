DELETE FROM dead_letters
WHERE
    lower(payload::text) LIKE :pattern OR lower(task || entry_point || reason) LIKE :pattern
    OR payload::text LIKE ANY(CAST(:subject_patterns AS text[]))
    OR message_id = ANY(:messages);
