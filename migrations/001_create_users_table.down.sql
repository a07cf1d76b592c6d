-- Undoes 001_create_users_table: drops every user.
-- Locks: access exclusive on users.

drop table users;
drop function touch_updated_at();
drop domain email_address;
