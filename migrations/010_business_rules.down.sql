-- Undoes 010_business_rules.
-- Locks: none.

drop function validate_business_rules();
