SELECT
    (SELECT count(*) FROM inbox WHERE state = 'received') AS waiting,
    (SELECT max(statement_timestamp() - received_at) FROM inbox WHERE state = 'received') AS age,
    (SELECT count(*) FROM (SELECT FROM dead_letters LIMIT :most) AS letters) AS dead_letters,
    (SELECT count(*) FROM (SELECT FROM parked_messages LIMIT :most) AS parked) AS parked;
