-- Undoes 014_event_search.
-- Locks: access exclusive on events.

drop function search_events(text, timestamptz, timestamptz, text, boolean, boolean, integer, text, boolean);
drop function find_event_search_matches(
    tsquery, tsquery, timestamptz, integer, timestamptz, integer, timestamptz, boolean, boolean, integer
);
drop function read_event_search_cursor(text, text);
drop function count_expired_holds(integer);
drop function event_search_query(text, text);
drop function refresh_event_search(integer, integer);
drop trigger events_80_search_update on events;
drop trigger events_80_search_insert on events;
drop function keep_event_search_documents();
drop table event_search_documents;
drop function event_search_document(text, text, text);
drop text search configuration event_search;
drop text search dictionary event_search_stem;
