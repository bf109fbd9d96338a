DELETE FROM assignment_decisions WHERE consultation_request_id = ANY(:requests);
