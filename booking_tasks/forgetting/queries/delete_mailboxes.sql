DELETE FROM session_mailboxes WHERE user_id = :user;
