DELETE FROM directory_users WHERE user_id = :user;
