WITH late AS (SELECT clock_timestamp() - interval '5 minutes' AS before)

SELECT
    (SELECT count(*) FROM dead_letters),
    (SELECT count(*) FROM jobs WHERE state = 'dead'),
    (SELECT count(*) FROM jobs WHERE state = 'uncertain'),
    (SELECT count(*) FROM parked_messages),
    (
        SELECT count(*) FROM jobs, late
        WHERE state = 'waiting' AND due_at < before AND coalesce(retry_at, due_at) < before
    ),
    (SELECT count(*) FROM jobs, late WHERE state IN ('leased', 'sending') AND lease_until < before),
    (SELECT count(*) FROM inbox, late WHERE state = 'received' AND attempted_at < before);
