DELETE FROM parked_messages
WHERE
    lower(arguments::text) LIKE :pattern
    OR lower(arguments::text) LIKE ANY(CAST(:subject_patterns AS text[]));
