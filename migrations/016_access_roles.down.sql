-- Undoes 016_access_roles; what was granted to roles stays granted.
-- Locks: none.

drop function grant_read_only_access(name, boolean);
drop function grant_application_access(name);
drop function grant_access(name, text[]);
drop function revoke_access(name);
drop function check_access_role(name);
drop function list_access_rights(text);
