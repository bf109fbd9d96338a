UPDATE assignment_credits SET consultant_user_id = :person WHERE consultant_user_id = :user;
