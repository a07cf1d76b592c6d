-- evdb: ignore work-under-strong-lock: the schema is installed while its tables are small
-- Purpose: rules that a check constraint cannot hold because they need the clock or the row before, and
--     words for those that it can hold: the server's own would quote the whole row, hash included.
-- Locks: share row exclusive on users and events while the triggers are made.
-- Reversible: yes; the check constraints of users stay.

--
-- Users
--

create function validate_user()
returns trigger
language plpgsql
set search_path from current
as $$
declare
    v_missing text := case
        when new.name is null then 'name'
        when new.email is null then 'email'
        when new.password_hash is null then 'password_hash'
        when new.is_active is null then 'is_active'
        when new.created_at is null then 'created_at'
        when new.updated_at is null then 'updated_at'
    end;
begin
    if v_missing is not null then
        raise exception using
            errcode = 'not_null_violation',
            message = format('A user needs a value in %s', v_missing),
            hint = 'Give a value, or leave the column out where it has a default.',
            table = 'users',
            column = v_missing;
    end if;

    -- The same patterns as in the check constraints of users, which hold whatever happens to triggers.
    if new.name !~ '[^\u0001-\u0020\u007f\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The name of a user cannot be blank',
            hint = 'Give a name with at least one visible character.',
            table = 'users',
            column = 'name',
            constraint = 'users_name_is_not_blank';
    elsif new.name ~ '[\u0001-\u001f\u007f\u2028\u2029]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The name of a user cannot hold control characters',
            hint = 'Give a name without line breaks, tabs and the like.',
            table = 'users',
            column = 'name',
            constraint = 'users_name_is_one_line';
    elsif new.password_hash !~ '^\$2[abxy]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}$' then
        -- Without the value: it may well be the password.
        raise exception using
            errcode = 'check_violation',
            message = 'The password hash of a user must be a bcrypt hash',
            hint = 'Hash the password in the application: 60 characters such as $2b$12$ and 53 more.',
            table = 'users',
            column = 'password_hash',
            constraint = 'users_password_hash_is_bcrypt';
    end if;
    return new;
end
$$;

comment on function validate_user() is
    'Trigger: nothing is missing, the name is one line and not blank, the hash is one of bcrypt. Raises what the constraints of users would, with a hint and without the row.';

create trigger users_20_validate_insert
before insert on users
for each row
execute function validate_user();

create trigger users_20_validate_update
before update of name, email, password_hash, is_active, created_at, updated_at on users
for each row
execute function validate_user();

comment on trigger users_20_validate_insert on users is 'A new user has a name and a bcrypt hash.';
comment on trigger users_20_validate_update on users is 'A user keeps a name and a bcrypt hash.';

--
-- Events
--

-- A check constraint on the clock would refuse every later update of a past event, and every restore;
-- any check on events would be read anew for every change of the counters.
create function validate_event()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    if new.title !~ '[^\u0001-\u0020\u007f\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The title of an event cannot be blank',
            hint = 'Give a title with at least one visible character.',
            table = 'events',
            column = 'title',
            constraint = 'events_title_is_not_blank';
    elsif new.title ~ '[\u0001-\u001f\u007f\u2028\u2029]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The title of an event cannot hold control characters',
            hint = 'Give a title without line breaks, tabs and the like; the description may have them.',
            table = 'events',
            column = 'title',
            constraint = 'events_title_is_one_line';
    elsif new.location !~ '[^\u0001-\u0020\u007f\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The location of an event cannot be blank',
            hint = 'Give a location, or null while it is unknown.',
            table = 'events',
            column = 'location',
            constraint = 'events_location_is_not_blank';
    elsif new.location ~ '[\u0001-\u001f\u007f\u2028\u2029]' then
        raise exception using
            errcode = 'check_violation',
            message = 'The location of an event cannot hold control characters',
            hint = 'Give a location on one line.',
            table = 'events',
            column = 'location',
            constraint = 'events_location_is_one_line';
    end if;

    -- Milliseconds, because an application that knows no more of a time writes it back shortened: for
    -- an event that is over, that is no move.
    if tg_op = 'INSERT'
        or date_trunc('milliseconds', new.date_time) <> date_trunc('milliseconds', old.date_time)
    then
        if new.date_time <= clock_timestamp() then
            raise exception using
                errcode = 'check_violation',
                message = format('An event cannot be set in the past: %s', new.date_time),
                hint = 'Give a date_time that is yet to come.',
                table = 'events',
                column = 'date_time',
                constraint = 'events_date_time_is_upcoming';
        elsif new.date_time > clock_timestamp() + interval '100 years' then
            raise exception using
                errcode = 'check_violation',
                message = format('An event cannot be set more than 100 years ahead: %s', new.date_time),
                hint = 'Give the date_time at which the event starts; infinity is none.',
                table = 'events',
                column = 'date_time',
                constraint = 'events_date_time_is_in_reach';
        end if;
    end if;

    if tg_op = 'INSERT' then
        if new.current_registrations <> 0 or new.held_seats <> 0 then
            raise exception using
                errcode = 'check_violation',
                message = 'A new event has no registrations yet',
                hint = 'Leave current_registrations and held_seats out: they count what is added to registrations.',
                table = 'events',
                column = case when new.held_seats <> 0 then 'held_seats' else 'current_registrations' end,
                constraint = 'events_counters_begin_at_zero';
        end if;
    elsif new.capacity < new.current_registrations + new.held_seats then
        raise exception using
            errcode = 'check_violation',
            message = format('The capacity of event %s cannot be %s: %s registrations are confirmed and %s seats held',
                new.id, new.capacity, new.current_registrations, new.held_seats),
            -- A row cannot settle its own holds while it is being updated.
            hint = case
                when new.held_seats = 0 then 'Cancel registrations first.'
                else format('Cancel registrations first, or call settle_event_seats(%s) if holds have expired.', new.id)
            end,
            table = 'events',
            column = 'capacity',
            constraint = 'events_capacity_is_not_exceeded';
    end if;
    return new;
end
$$;

comment on function validate_event() is
    'Trigger: title and location are one line and not blank, an event is never set in the past or more than 100 years ahead, its counters begin at zero, and the capacity never falls below the seats taken.';

create trigger events_20_validate_insert
before insert on events
for each row
execute function validate_event();

create trigger events_20_validate_update
before update of title, location, date_time, capacity on events
for each row
execute function validate_event();

comment on trigger events_20_validate_insert on events is 'A new event has a title and is yet to come.';
comment on trigger events_20_validate_update on events is
    'An event moves into the future only, and keeps a seat for everyone who has one; a past one can still be edited.';

--
-- Times
--

-- Kept rather than refused: an application that saves a whole row writes back the times that it read,
-- often shortened to milliseconds.
create function keep_timestamps()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    new.created_at := old.created_at;
    new.updated_at := old.updated_at;
    return new;
end
$$;

comment on function keep_timestamps() is
    'Trigger: nobody changes created_at, and updated_at changes on its own where another value does.';

-- Before the triggers that set updated_at, which then see only the other values.
create trigger users_05_keep_timestamps
before update of created_at, updated_at on users
for each row
when (old.created_at is distinct from new.created_at or old.updated_at is distinct from new.updated_at)
execute function keep_timestamps();

-- That of events has no condition: every statement on events, such as one that counts a registration, copies the
-- conditions of all its triggers.
create trigger events_05_keep_timestamps
before update of created_at, updated_at on events
for each row
execute function keep_timestamps();

comment on trigger users_05_keep_timestamps on users is 'Ignores what a statement writes into created_at and updated_at.';
comment on trigger events_05_keep_timestamps on events is 'Ignores what a statement writes into created_at and updated_at.';

revoke execute on function validate_user() from public;
revoke execute on function validate_event() from public;
revoke execute on function keep_timestamps() from public;
