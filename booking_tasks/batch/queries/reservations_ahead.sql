SELECT person_id, count(*) FROM occupied_times
WHERE
    person_id = ANY(:consultants) AND role = 'consultant'
    AND span && tstzrange(:now, NULL)
    AND (held_until IS NULL OR held_until > :now)
GROUP BY person_id;
