-- A release that does not know what the inventory declares.
ALTER TABLE users ADD phone text;
DROP INDEX users_email_lower_key;
