-- evdb: ignore work-under-strong-lock: the schema is installed while its tables are small
-- Purpose: searching events by what people type. One weighted document an event, kept by triggers, and
--     the function that finds, ranks and pages.
-- Locks: share row exclusive on events until the documents of the events there are made, a minute for
--     half a million: reads go on, writes to events and registrations wait.
-- Reversible: yes; the documents are made again from the events.
--
-- The documents have a table of their own. A generated column, or one that a trigger keeps, would travel
-- with the event's row through every change of its counters; an index on an expression would spare the
-- table, but then every match has to be parsed again to be ranked. The table repeats what searches sort
-- and filter by: to fetch the event of every match only to see its date costs 4 to 15 times as much.

-- English stems without the list of stop words: "the who" and "it" are names of bands, and a word that
-- every event has costs nothing here (see search_events). A project in another language maps the words
-- to another dictionary and then makes the documents anew:
--     alter text search configuration event_search alter mapping for asciiword, word with german_stem;
--     select refresh_event_search();
-- Queries and documents name this configuration, so default_text_search_config plays no part.
create text search dictionary event_search_stem (template = pg_catalog.snowball, language = english);
create text search configuration event_search (copy = pg_catalog.english);
alter text search configuration event_search
    alter mapping for asciiword, asciihword, hword_asciipart, word, hword, hword_part with event_search_stem;

comment on text search dictionary event_search_stem is 'English stems; no word is left out.';
comment on text search configuration event_search is
    'How search_events() splits and stems words; after a change run refresh_event_search().';

create function event_search_document(p_title text, p_location text, p_description text)
returns tsvector
language sql
immutable
parallel safe
set search_path from current
set client_min_messages to warning
as $$
    -- A slash makes PostgreSQL take "jazz/rock" for a path, one word; that of a closing tag has to stay.
    -- A document has to stay below 1 MB whatever is in it, and its positions end at 16383 anyway.
    select setweight(to_tsvector('event_search', regexp_replace(coalesce(p_title, ''), '(?<!<)/', ' ', 'g')), 'A')
        || setweight(to_tsvector('event_search', regexp_replace(coalesce(p_location, ''), '(?<!<)/', ' ', 'g')), 'B')
        || setweight(
            to_tsvector('event_search', regexp_replace(left(coalesce(p_description, ''), 50000), '(?<!<)/', ' ', 'g')),
            'D'
        )
$$;

comment on function event_search_document(text, text, text) is
    'What an event is found by: title (weight A), location (B) and the first 50,000 characters of the description (D).';

create table event_search_documents (
    event_id integer not null,
    date_time timestamptz not null,
    is_active boolean not null,
    document tsvector not null,
    constraint event_search_documents_pkey primary key (event_id),
    constraint event_search_documents_event_id_fkey foreign key (event_id) references events (id)
        on update cascade on delete cascade
);

comment on table event_search_documents is 'What each event is found by; kept by triggers on events.';
comment on column event_search_documents.event_id is 'The event.';
comment on column event_search_documents.date_time is 'As in events.';
comment on column event_search_documents.is_active is 'As in events.';
comment on column event_search_documents.document is 'Its words with positions and weights, see event_search_document().';
comment on constraint event_search_documents_event_id_fkey on event_search_documents is 'Goes with its event.';

--
-- Documents follow their events
--
-- Whoever writes a document has locked the event's row before, here and in the cascade, so the table adds
-- no way to deadlock. Registrations change nothing that these triggers look at.

-- Security definer, because nobody else is granted the documents.
create function keep_event_search_documents()
returns trigger
language plpgsql
security definer
set search_path from current
as $$
begin
    if tg_op = 'INSERT' then
        insert into event_search_documents (event_id, date_time, is_active, document)
        select n.id, n.date_time, n.is_active, event_search_document(n.title, n.location, n.description)
        from new_rows n;
    elsif (new.title, new.location, new.description) is distinct from (old.title, old.location, old.description) then
        update event_search_documents d
        set date_time = new.date_time,
            is_active = new.is_active,
            document = event_search_document(new.title, new.location, new.description)
        where d.event_id = new.id;
    elsif (new.date_time, new.is_active) is distinct from (old.date_time, old.is_active) then
        update event_search_documents d
        set date_time = new.date_time,
            is_active = new.is_active
        where d.event_id = new.id;
    end if;
    return null;
end
$$;

comment on function keep_event_search_documents() is 'Trigger: makes and remakes the documents of events.';

create trigger events_80_search_insert
after insert on events
referencing new table as new_rows
for each statement
execute function keep_event_search_documents();

-- By row, because a trigger with transition tables takes no column list and would run for every change of
-- a counter. Without a condition, as every statement on events copies those of all its triggers: the function
-- tells what changed.
create trigger events_80_search_update
after update of title, location, description, date_time, is_active on events
for each row
execute function keep_event_search_documents();

comment on trigger events_80_search_insert on events is 'Makes new events searchable.';
comment on trigger events_80_search_update on events is 'Keeps an event findable by its present words and date.';

create function refresh_event_search(p_first_id integer default null, p_last_id integer default null)
returns integer
language plpgsql
set search_path from current
as $$
declare
    v_changed integer;
begin
    -- The documents first, and in a statement of their own: an edit under way then either shows below or
    -- writes its own document afterwards.
    perform 1
    from event_search_documents d
    where d.event_id between coalesce(p_first_id, -2147483648) and coalesce(p_last_id, 2147483647)
    order by d.event_id
    for no key update;

    insert into event_search_documents as d (event_id, date_time, is_active, document)
    select e.id, e.date_time, e.is_active, event_search_document(e.title, e.location, e.description)
    from events e
    where e.id between coalesce(p_first_id, -2147483648) and coalesce(p_last_id, 2147483647)
    order by e.id
    on conflict (event_id) do update
    set date_time = excluded.date_time,
        is_active = excluded.is_active,
        document = excluded.document
    where (d.date_time, d.is_active, d.document)
        is distinct from (excluded.date_time, excluded.is_active, excluded.document);

    get diagnostics v_changed = row_count;
    return v_changed;
end
$$;

comment on function refresh_event_search(integer, integer) is
    'Makes the documents of all events, or of those from one id to another, anew where they are missing or differ, and returns how many those were. Needed after a change of the configuration event_search, and after a load with triggers switched off. Edits of these events wait for it, so take a large table in several ranges, each in a transaction of its own.';

-- Indexes are built quicker over rows that are there, and nobody waits for it: the table is new.
select refresh_event_search();

-- Searches: where document @@ ?. New documents go to the pending list first, which searches read as well;
-- autovacuum empties it, or the writer who fills it up (gin_pending_list_limit, 4 MB). A project that
-- would rather pay at each write than now and then: alter index ... set (fastupdate = off).
create index event_search_documents_document_idx on event_search_documents using gin (document);

-- Words that are so common that the first matches are found sooner along the dates, and no words at all:
-- where date_time >= ? and document @@ ? order by date_time, event_id limit ?. All events, because few are
-- inactive, and an index that does not name is_active lets it change without touching the index of words.
create index event_search_documents_date_time_idx on event_search_documents (date_time, event_id);

comment on index event_search_documents_document_idx is 'Serves search_events() for most words.';
comment on index event_search_documents_date_time_idx is
    'Serves search_events() for very common words and without words.';

--
-- Searching
--

create function event_search_query(p_text text, p_weight text default null)
returns tsquery
language plpgsql
immutable
parallel safe
set search_path from current
set client_min_messages to warning
as $$
declare
    v_query tsquery;
    v_terms text;
begin
    if p_text !~ '\S' then
        return null;
    end if;
    -- More than 30 minus signs that nothing follows would overflow a stack of the parser.
    v_query := websearch_to_tsquery(
        'event_search',
        regexp_replace(replace(left(p_text, 1000), '/', ' '), '-(?=[\s!#-/:-@\[-`{-~]|$)', ' ', 'g')
    );
    if numnode(v_query) = 0 then
        return v_query;
    end if;

    -- websearch syntax has neither weights nor prefixes: both are added to its terms, 'term':B*.
    v_terms := v_query::text;
    if p_weight is not null then
        v_terms := regexp_replace(v_terms, '''([^''\\]|''''|\\\\)*''', '\&:' || p_weight, 'g');
    end if;
    if left(p_text, 1000) ~ '[^\s*"]\*["\s]*$' then
        v_terms := regexp_replace(
            v_terms, '([ )]*)$', case when p_weight is null then ':*\1' else '*\1' end
        );
    end if;
    return v_terms::tsquery;
end
$$;

comment on function event_search_query(text, text) is
    'What people type as a query: words all have to be there, "quoted" ones in this order, or between alternatives, - before what must not be there, and * after the last word for what begins with it. Only the first 1,000 characters count. With a weight (A title, B location, D description) the words have to be there. Null for a blank text, an empty query for one without a word; it never raises an error.';

-- Security definer, because searching must not take the right to read who goes where.
create function count_expired_holds(p_event_id integer)
returns integer
language sql
stable
security definer
set search_path from current
as $$
    select count(*)::integer
    from registrations r
    where r.event_id = p_event_id
        and r.status = 'pending'
        and r.hold_expires_at <= now()
$$;

comment on function count_expired_holds(integer) is
    'Holds of an event that have expired and are not settled yet: their seats are there for whoever asks.';

create function read_event_search_cursor(
    p_cursor text,
    p_key text,
    out points integer,
    out date_time timestamptz,
    out event_id integer,
    out start_time timestamptz,
    out start_id integer,
    out end_time timestamptz,
    out end_id integer
)
language plpgsql
stable
set search_path from current
as $$
declare
    v_values jsonb;
begin
    begin
        v_values := p_cursor::jsonb;
        points := (v_values ->> 1)::integer;
        date_time := (v_values ->> 2)::timestamptz;
        event_id := (v_values ->> 3)::integer;
        start_time := (v_values -> 4 ->> 0)::timestamptz;
        start_id := (v_values -> 4 ->> 1)::integer;
        end_time := (v_values -> 4 ->> 2)::timestamptz;
        end_id := (v_values -> 4 ->> 3)::integer;
    exception
        when data_exception then
            v_values := null;
    end;
    if num_nulls(v_values ->> 0, points, date_time, event_id) > 0
        or num_nulls(start_time, start_id, end_time, end_id) not in (0, 4)
    then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_after is not a row_cursor of search_events()',
            hint = 'Pass the row_cursor of the last row of the page before unchanged, or null for the first page.';
    elsif v_values ->> 0 <> p_key then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = 'p_after comes from a search for something else',
            hint = 'Keep p_query and p_location while paging, or pass null for the first page.';
    end if;
    -- A list has no windows: it goes on behind its row.
    if start_time is null then
        start_time := date_time;
        start_id := event_id;
    end if;
end
$$;

comment on function read_event_search_cursor(text, text) is
    'The place in a search that a row_cursor stands for; refuses anything else (22023).';

-- A query of its own, because its plan hangs on how common the words are and on which filters are set, and
-- the plans of search_events() do not: those are made once a session. So this one is small; what is not asked
-- for folds away, and a rank costs less than to carry the document on.
--
-- The settings make the planner choose what was measured to be quicker on a million events. No JIT and no
-- workers, because starting them takes longer than most searches. A small cache, because going along the
-- dates ends after some thousand documents, each on a page of its own, which the planner counts as if all
-- were read and most pages met again; random pages no dearer than others, so that both ways are counted
-- alike; and dearer index entries, or the matches of a word are intersected with all upcoming events.
create function find_event_search_matches(
    p_terms tsquery,
    p_query tsquery,
    p_start_time timestamptz,
    p_start_id integer,
    p_end_time timestamptz,
    p_end_id integer,
    p_until timestamptz,
    p_only_active boolean,
    p_only_free boolean,
    p_limit integer,
    out ids integer[],
    out date_times timestamptz[],
    out points integer[]
)
language plpgsql
stable
set search_path from current
set plan_cache_mode to force_custom_plan
set random_page_cost to 1.1
set effective_cache_size to '1MB'
set cpu_index_tuple_cost to 0.02
set max_parallel_workers_per_gather to 0
set jit to off
as $$
begin
    select array_agg(m.id), array_agg(m.date_time), array_agg(m.points)
    into ids, date_times, points
    from (
        select d.event_id as id, d.date_time,
            case when p_query is null then 0 else round(ts_rank(d.document, p_query, 1) * 1000000)::integer end
                as points
        from event_search_documents d
        where d.document @@ p_terms
            -- One lower bound: given two, an index scan may begin at the earlier one.
            and (d.date_time, d.event_id) > (p_start_time, p_start_id)
            and (p_end_time is null or (d.date_time, d.event_id) <= (p_end_time, p_end_id))
            and (p_until is null or d.date_time < p_until)
            and (d.is_active or not p_only_active)
            and (
                not p_only_free
                or (
                    select e.current_registrations + e.held_seats < e.capacity
                        or (
                            e.held_seats > 0
                            and e.current_registrations + e.held_seats - count_expired_holds(e.id) < e.capacity
                        )
                    from events e
                    where e.id = d.event_id
                )
            )
        order by d.date_time, d.event_id
        limit case when p_end_time is null then p_limit end
    ) m;
end
$$;

comment on function find_event_search_matches(
    tsquery, tsquery, timestamptz, integer, timestamptz, integer, timestamptz, boolean, boolean, integer
) is
    'What search_events() ranks: the soonest matches behind a place and up to another, with their points; without an end p_limit of them.';

-- Ranking needs the document of every match, and a word that a third of all events has would take seconds.
-- So matches are ranked in windows: the 500 soonest, best first, then the next 500. Nearly every search
-- ends within the first window and is ranked as a whole; in the others what is soon comes before what is
-- far, and the server stops after 500 matches, along the index by date where that is quicker.
--
-- A row's place is (points, date_time, id) within its window, and none of these depends on other rows. The
-- cursor carries the bounds of the window, so what is inserted or deleted between two pages moves no
-- boundary: no row is shown twice and none is passed over, except rows that were edited meanwhile. Points
-- are the rank in millionths as an integer: a float would have to survive the way through text.
--
-- Planning takes longer than a page does, so the plans here are kept. They may be made while the tables are
-- empty: without whole-table scans they are right for a million events as well.
create function search_events(
    p_query text default null,
    p_from timestamptz default now(),
    p_until timestamptz default null,
    p_location text default null,
    p_only_active boolean default true,
    p_only_free boolean default false,
    p_limit integer default 20,
    p_after text default null,
    p_headline boolean default true
)
returns table (
    event_id integer,
    title varchar,
    location varchar,
    date_time timestamptz,
    capacity integer,
    available_spots integer,
    is_active boolean,
    rank real,
    headline text,
    row_cursor text
)
language plpgsql
stable
set search_path from current
set plan_cache_mode to force_generic_plan
set enable_seqscan to off
as $$
declare
    -- A call costs more than to see that there is nothing to read.
    v_query constant tsquery := case when p_query ~ '\S' then event_search_query(p_query) end;
    v_location constant tsquery := case when p_location ~ '\S' then event_search_query(p_location, 'B') end;
    v_terms constant tsquery := coalesce(v_query && v_location, v_query, v_location);
    v_key constant text := hashtextextended(concat_ws(chr(31), coalesce(p_query, ''), p_location), 0)::text;
    -- Without words there is no rank, and a window is a page.
    v_window_size constant integer := case when v_query is null then p_limit else 500 end;
    v_at_points integer := 2147483647;
    v_at_time timestamptz := timestamptz '-infinity';
    v_at_id integer := -2147483648;
    v_start_time timestamptz := timestamptz '-infinity';
    v_start_id integer := -2147483648;
    v_end_time timestamptz;
    v_end_id integer;
    v_window json;
    v_ids integer[];
    v_times timestamptz[];
    v_points integer[];
    v_shown integer;
    v_left integer := p_limit;
begin
    if p_limit is null or p_limit not between 1 and 100 then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_limit must be 1 to 100, not %s', coalesce(p_limit::text, 'null')),
            hint = 'Ask for a page, and for the next one with p_after => the row_cursor of its last row.';
    elsif p_until <= p_from then
        raise exception using
            errcode = 'invalid_parameter_value',
            message = format('p_until (%s) must be later than p_from (%s)', p_until, p_from),
            hint = 'p_from is now unless given; for past events give an earlier one, or null.';
    elsif numnode(v_query) = 0 or numnode(v_location) = 0 then
        return;
    end if;
    if p_after is not null then
        select c.points, c.date_time, c.event_id, c.start_time, c.start_id, c.end_time, c.end_id
        into v_at_points, v_at_time, v_at_id, v_start_time, v_start_id, v_end_time, v_end_id
        from read_event_search_cursor(p_after, v_key) c;
    end if;
    if v_start_time < p_from then
        v_start_time := p_from;
        v_start_id := -2147483648;
    end if;

    if v_terms is null then
        return query
        select e.id, e.title, e.location, e.date_time, e.capacity::integer,
            greatest(
                e.capacity - e.current_registrations - e.held_seats
                    + case when e.held_seats > 0 then count_expired_holds(e.id) else 0 end,
                0
            ),
            e.is_active, 0::real, null::text, json_build_array(v_key, 0, e.date_time, e.id, v_window)::text
        from (
            select d.date_time as found_at, e.*
            from event_search_documents d
            join events e on e.id = d.event_id
            where (d.date_time, d.event_id) > (v_start_time, v_start_id)
                -- The first is where the index scan ends, and the second leaves out what is on that time.
                and d.date_time <= coalesce(p_until, 'infinity')
                and (p_until is null or d.date_time < p_until)
                and (d.is_active or not p_only_active)
                and (
                    not p_only_free
                    or e.current_registrations + e.held_seats < e.capacity
                    or (
                        e.held_seats > 0
                        and e.current_registrations + e.held_seats - count_expired_holds(e.id) < e.capacity
                    )
                )
            order by d.date_time, d.event_id
            -- The most that p_limit can be: known to the planner, it makes it go along the dates.
            limit 100
        ) e
        order by e.found_at, e.id
        limit p_limit;
        return;
    end if;

    loop
        select m.ids, m.date_times, m.points
        into v_ids, v_times, v_points
        from find_event_search_matches(
            v_terms, v_query, v_start_time, v_start_id, v_end_time, v_end_id, p_until, p_only_active, p_only_free,
            v_window_size
        ) m;
        if v_end_time is null then
            v_end_time := coalesce(v_times[v_window_size], 'infinity');
            v_end_id := coalesce(v_ids[v_window_size], 2147483647);
        end if;
        if v_query is not null then
            v_window := json_build_array(v_start_time, v_start_id, v_end_time, v_end_id);
        end if;

        return query
        select e.id, e.title, e.location, e.date_time, e.capacity::integer,
            greatest(
                e.capacity - e.current_registrations - e.held_seats
                    + case when e.held_seats > 0 then count_expired_holds(e.id) else 0 end,
                0
            ),
            e.is_active, (p.points / 1000000.0::float8)::real,
            -- Escaped before the marks are set, because ts_headline() copies what it is given: whatever tags
            -- an organiser types, the only ones in the result are the marks.
            case
                when p_headline and v_query is not null then ts_headline(
                    'event_search',
                    replace(replace(replace(replace(replace(
                        left(coalesce(e.description, e.title), 5000),
                        '&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;'), '''', '&#39;'),
                    v_query,
                    'StartSel=<mark>, StopSel=</mark>, MaxFragments=2, MaxWords=20, MinWords=5, FragmentDelimiter=" ... "'
                )
            end,
            json_build_array(v_key, p.points, e.date_time, e.id, v_window)::text
        from (
            select m.points, m.date_time, m.id
            from unnest(v_points, v_times, v_ids) as m (points, date_time, id)
            where m.points < v_at_points
                or (m.points = v_at_points and (m.date_time, m.id) > (v_at_time, v_at_id))
            order by m.points desc, m.date_time, m.id
            limit v_left
        ) p
        join events e on e.id = p.id
        order by p.points desc, p.date_time, p.id;

        get diagnostics v_shown = row_count;
        v_left := v_left - v_shown;
        exit when v_left = 0 or v_query is null or (v_end_time = 'infinity' and v_end_id = 2147483647);
        v_at_points := 2147483647;
        v_start_time := v_end_time;
        v_start_id := v_end_id;
        v_end_time := null;
        v_end_id := null;
    end loop;
end
$$;

comment on function search_events(text, timestamptz, timestamptz, text, boolean, boolean, integer, text, boolean) is
    'A page of the events that a query in websearch syntax finds (see event_search_query), best first; without a query those of a time, soonest first; a query without a word, such as "!!!", finds none. From p_from (now unless given, null for all) until before p_until, where the location has the words of p_location, active ones unless p_only_active is false, with free seats where p_only_free (expired holds are free seats). p_limit is 1 to 100; p_after is the row_cursor of the last row of the page before. Of more than 500 matches the 500 soonest come first, ranked among themselves, then the next 500. headline is HTML, escaped, with <mark>; null without a query or with p_headline => false. Refuses nonsense (22023) and nothing that anybody may type.';

revoke execute on function event_search_document(text, text, text) from public;
revoke execute on function keep_event_search_documents() from public;
revoke execute on function refresh_event_search(integer, integer) from public;
revoke execute on function event_search_query(text, text) from public;
revoke execute on function count_expired_holds(integer) from public;
revoke execute on function read_event_search_cursor(text, text) from public;
revoke execute on function find_event_search_matches(
    tsquery, tsquery, timestamptz, integer, timestamptz, integer, timestamptz, boolean, boolean, integer
) from public;
revoke execute on function search_events(text, timestamptz, timestamptz, text, boolean, boolean, integer, text, boolean)
from public;
