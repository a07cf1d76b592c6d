-- Purpose: rules that a check constraint cannot hold because they need the clock or the row before.
-- Locks: share row exclusive on events while the triggers are made.
-- Reversible: yes.

-- A check constraint on the clock would refuse every later update of a past event, and every restore;
-- one on blank text would be read anew for every change of the counter.
create function validate_event()
returns trigger
language plpgsql
set search_path from current
as $$
begin
    if new.title !~ '\S' then
        raise exception using
            errcode = 'check_violation',
            message = 'The title of an event cannot be blank',
            hint = 'Give a title with at least one visible character.',
            table = 'events',
            column = 'title',
            constraint = 'events_title_is_not_blank';
    elsif new.location !~ '\S' then
        raise exception using
            errcode = 'check_violation',
            message = 'The location of an event cannot be blank',
            hint = 'Give a location, or null while it is unknown.',
            table = 'events',
            column = 'location',
            constraint = 'events_location_is_not_blank';
    elsif tg_op = 'UPDATE' and new.capacity < new.current_registrations then
        raise exception using
            errcode = 'check_violation',
            message = format('The capacity of event %s cannot be %s: %s registrations are confirmed',
                new.id, new.capacity, new.current_registrations),
            hint = 'Cancel registrations first.',
            table = 'events',
            column = 'capacity',
            constraint = 'events_capacity_is_not_exceeded';
    elsif new.date_time <= clock_timestamp()
        and (tg_op = 'INSERT' or new.date_time is distinct from old.date_time)
    then
        raise exception using
            errcode = 'check_violation',
            message = format('An event cannot be set in the past: %s', new.date_time),
            hint = 'Give a date_time that is yet to come.',
            table = 'events',
            column = 'date_time',
            constraint = 'events_date_time_is_upcoming';
    end if;
    return new;
end
$$;

comment on function validate_event() is
    'Trigger: title and location are not blank, the capacity never falls below the confirmed registrations, and an event is never set in the past.';

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
