-- One of every kind of object that PostgreSQL 14 has, with what may be said of it, in names that need
-- quotes, and in circles. Roles: evdb_reader and evdb_writer.
set check_function_bodies = off;

create schema app;
comment on schema app is 'Ünïcode, a ''quote'' and a \ backslash';
grant usage on schema app to evdb_reader;
create schema "Odd Schema, ""quoted""";
comment on schema public is 'of its own';
revoke all on schema public from public;

create extension pg_trgm with schema app;
create extension btree_gist with schema public;
create extension citext with schema public;

-- types
create collation app.german (provider = icu, locale = 'de-DE');
create collation app.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
comment on collation app.blind is 'does not see case';
create collation app.plain (provider = libc, locale = 'C');
create type app.mood as enum ('sad', 'ok', 'it''s "fine"', 'größer');
comment on type app.mood is 'an enum';
create type app.nothing as enum ();
create type app.address as (street text collate app.german, "House No" integer);
comment on column app.address."House No" is 'of an attribute';
grant usage on type app.address to evdb_reader;
revoke usage on type app.mood from public;
create type app.person as (home app.address, moods app.mood[]);
create domain app.positive as integer default 1 not null constraint positive_check check (value > 0);
comment on domain app.positive is 'a domain';
comment on constraint positive_check on domain app.positive is 'of a domain';
create domain app.tag as text collate app.german;
create domain app.late as text;
alter domain app.late add constraint late_check check (value <> '') not valid;
create type app.span as range (subtype = float8, subtype_diff = float8mi, multirange_type_name = app.spans);
comment on type app.span is 'a range';
create type app.text_range as range (subtype = text, collation = app.german, subtype_opclass = text_pattern_ops);

-- a base type, and a type that stayed a shell
create type app.shell;
create type app.number;
create function app.number_in(cstring) returns app.number language internal immutable strict as 'int4in';
create function app.number_out(app.number) returns cstring language internal immutable strict as 'int4out';
create type app.number (input = app.number_in, output = app.number_out, like = integer, category = 'N', default = '7', delimiter = ';');
comment on type app.number is 'a base type';

-- routines
create function app.twice(x integer) returns integer language sql immutable parallel safe as 'select x * 2';
comment on function app.twice(integer) is 'a function';
revoke execute on function app.twice(integer) from public;
grant execute on function app.twice(integer) to evdb_writer with grant option;
create function app.twice(x text) returns text language sql as $$ select x || x $$;
create function app."Odd "" function"("a b" integer default 3, variadic rest text[] default '{}') returns table ("c d" integer, e app.mood)
    language plpgsql stable security definer set search_path = app, pg_temp set work_mem = '1MB' cost 7 rows 3 as $body$
begin
    -- $$ inside
    return query select 1, 'ok'::app.mood;
end
$body$;
create function app.standard(a integer, b integer) returns integer language sql immutable begin atomic select app.twice(a) + b; end;
create procedure app.work(inout x integer) language plpgsql as $$ begin x := x + 1; end $$;
comment on procedure app.work(integer) is 'a procedure';
create function app.touch() returns trigger language plpgsql as $$ begin return new; end $$;
create function app.watch() returns event_trigger language plpgsql as $$ begin end $$;
create aggregate app.total(integer) (sfunc = int4pl, stype = integer, initcond = '0', combinefunc = int4pl, parallel = safe, msfunc = int4pl, minvfunc = int4mi, mstype = integer, minitcond = '0');
comment on aggregate app.total(integer) is 'an aggregate';
create aggregate app.rows(*) (sfunc = int8inc, stype = bigint, initcond = '0');
grant execute on function app.rows() to evdb_reader;
create aggregate app.middle(float8 order by anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
create function app.is_equal(integer, text) returns boolean language sql immutable as $$ select $1::text = $2 $$;
create function app.is_equal_back(text, integer) returns boolean language sql immutable as $$ select $1 = $2::text $$;
create operator app.=== (function = app.is_equal, leftarg = integer, rightarg = text, commutator = operator(app.====));
create operator app.==== (function = app.is_equal_back, leftarg = text, rightarg = integer, commutator = operator(app.===));
create operator app.!!! (function = app.twice, rightarg = integer);
comment on operator app.=== (integer, text) is 'an operator';
create function app.address_cmp(app.address, app.address) returns integer language sql immutable as $$ select case when ($1)."House No" < ($2)."House No" then -1 when ($1)."House No" > ($2)."House No" then 1 else 0 end $$;
create function app.address_lt(app.address, app.address) returns boolean language sql immutable as $$ select app.address_cmp($1, $2) < 0 $$;
create operator app.<<< (function = app.address_lt, leftarg = app.address, rightarg = app.address);
create operator family app.addresses using btree;
comment on operator family app.addresses using btree is 'a family';
create operator class app.address_ops for type app.address using btree family app.addresses as
    operator 1 app.<<<, function 1 app.address_cmp(app.address, app.address);
comment on operator class app.address_ops using btree is 'a class';
create operator class app.plain_ops for type integer using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(integer, integer);
alter operator family app.addresses using btree add operator 1 < (integer, bigint), function 1 (integer, bigint) btint48cmp(integer, bigint);
create function app.mood_of(text) returns app.mood language plpgsql immutable as $$ begin return 'ok'; end $$;
create cast (text as app.mood) with function app.mood_of(text) as assignment;
comment on cast (text as app.mood) is 'a cast';
create cast (app.address as integer) with inout;
create trusted language plx handler plpgsql_call_handler inline plpgsql_inline_handler validator plpgsql_validator;
comment on language plx is 'a language';
grant usage on language plx to evdb_reader;
create function app.hstore_like(internal) returns internal language internal immutable strict as 'jsonb_recv';
create transform for app.mood language plx (from sql with function app.hstore_like(internal));
create conversion app.sideways for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
comment on conversion app.sideways is 'a conversion';
create access method app_heap type table handler heap_tableam_handler;
comment on access method app_heap is 'an access method';

-- text search
create text search parser app.words (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype, headline = prsd_headline);
create text search template app.plain_template (init = dsimple_init, lexize = dsimple_lexize);
create text search dictionary app.stems (template = pg_catalog.simple, accept = false);
create text search dictionary app.plain_stems (template = app.plain_template);
create text search configuration app.search (parser = pg_catalog.default);
alter text search configuration app.search add mapping for word, asciiword with app.stems, pg_catalog.simple;
alter text search configuration app.search add mapping for int with pg_catalog.simple;
create text search configuration app.search_words (parser = app.words);
comment on text search parser app.words is 'a parser';
comment on text search template app.plain_template is 'a template';
comment on text search dictionary app.stems is 'a dictionary';
comment on text search configuration app.search is 'a configuration';

-- foreign objects
create foreign data wrapper nowhere options (kind 'of wrapper');
comment on foreign data wrapper nowhere is 'a wrapper';
grant usage on foreign data wrapper nowhere to evdb_writer;
create server far type 'sort' version '1.2' foreign data wrapper nowhere options (host 'localhost', password 'hidden', "Odd" 'it''s');
comment on server far is 'a server';
grant usage on foreign server far to evdb_reader;
create user mapping for evdb_reader server far options ("user" 'reader', password 'top secret');
create user mapping for public server far;
create foreign table app.remote (id integer options (column_name 'ID') not null, note text collate "C" default 'x', constraint remote_check check (id > 0)) server far options (table_name 'There');
comment on foreign table app.remote is 'a foreign table';
comment on column app.remote.note is 'of a foreign table';

-- sequences and tables
create sequence app.numbers as smallint increment by -3 minvalue -100 maxvalue -1 start with -4 cache 5 cycle;
comment on sequence app.numbers is 'a sequence';
grant usage on sequence app.numbers to evdb_writer;
create table app.people (
    id integer generated always as identity,
    other bigint generated by default as identity (sequence name app."other numbers" start with 100 increment by 5),
    old serial,
    "Name" varchar(80) collate app.german not null default 'nobody',
    email public.citext,
    mood app.mood not null default 'ok',
    homes app.address[],
    share app.positive,
    money numeric(12, 2) constraint money_is_there not null,
    twice integer generated always as (app.twice(id)) stored,
    payload jsonb default '{"a": [1, 2]}',
    made timestamptz not null default now(),
    bits bit varying(5),
    wait interval day to second(3),
    picture bytea,
    constraint people_pkey primary key (id),
    constraint people_email_key unique (email) include (made) with (fillfactor = 70) deferrable initially deferred,
    constraint "it's checked" check ("Name" <> '' and id > 0),
    constraint checked_by_function check (app.twice(id) > 0) no inherit,
    constraint people_no_overlap exclude using gist (id with =, wait with =) where (id > 3)
) with (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
comment on table app.people is 'a table
of two lines';
comment on column app.people."Name" is 'a column';
comment on constraint people_pkey on app.people is 'a constraint';
comment on index app.people_pkey is 'the index behind a constraint';
comment on constraint "it's checked" on app.people is 'of a check';
alter table app.people alter column picture set storage external;
alter table app.people alter column payload set compression pglz;
alter table app.people alter column "Name" set statistics 500;
alter table app.people alter column mood set (n_distinct = 4);
alter table app.people add constraint later check (other > 0) not valid;
grant select, insert on app.people to evdb_reader;
grant update ("Name", mood), select (id) on app.people to evdb_writer;
grant select on app.people to evdb_writer with grant option;
create unlogged table app.unlogged (a integer default nextval('app.numbers'));
alter table app.unlogged replica identity full;
create table app.typed of app.address (constraint typed_street_key unique (street));
create table app.own_am (a integer) using app_heap;
create table app."Odd Table" ("select" integer primary key, "ä ö" text not null, unique ("ä ö"));
alter table app."Odd Table" replica identity using index "Odd Table_ä ö_key";
create table app.empty ();
create table app.swapped (dropped integer, kept integer, again text);
alter table app.swapped drop column dropped;
create table "Odd Schema, ""quoted""".thing (id integer references app.people (id));

-- inheritance
create table app.base (id integer not null, note text default 'base', constraint base_check check (id > 0));
create table app.child (extra integer, note text default 'child', constraint child_check check (extra > 0)) inherits (app.base);
create table app.attached (note text, id integer not null, constraint base_check check (id > 0));
alter table app.attached inherit app.base;

-- partitions
create table app.events (id integer not null, at date not null, kind text default 'x', note text, primary key (id, at)) partition by range (at);
create index events_note on app.events (note);
create index events_lower on app.events (lower(kind));
create table app.events_2024 partition of app.events for values from ('2024-01-01') to ('2025-01-01');
create table app.events_2025 (note text, kind text default 'y', at date not null, id integer not null);
create index "of its own" on app.events_2025 (note);
alter table app.events attach partition app.events_2025 for values from ('2025-01-01') to ('2026-01-01');
create table app.events_rest partition of app.events default partition by list (id);
create table app.events_rest_a partition of app.events_rest for values in (1, 2);
alter table app.events_rest_a alter column kind set default 'a';
alter table app.events_rest_a add constraint own_check check (note <> 'x');
create table app.listed (kind text) partition by list (lower(kind) collate "C");
create table app.listed_a partition of app.listed for values in ('a', 'b''s', null);
create table app.hashed (id integer) partition by hash (id);
create table app.hashed_0 partition of app.hashed for values with (modulus 2, remainder 0);
create table app.children (event_id integer, event_at date, constraint children_fkey foreign key (event_id, event_at) references app.events (id, at) on delete cascade on update set null deferrable);
alter table app.events add constraint events_person foreign key (id) references app.people (id);
alter table app.people add constraint people_self foreign key (other) references app.people (id) not valid;
create trigger on_all after insert on app.events for each row execute function app.touch();
alter table app.events_2024 disable trigger on_all;

-- indexes
create index people_lower on app.people (lower("Name") collate "C" desc nulls last, app.twice(id)) where mood <> 'sad';
alter index app.people_lower alter column 1 set statistics 300;
comment on index app.people_lower is 'an index';
create unique index people_other on app.people (other) include (made) with (fillfactor = 60);
create index people_trigrams on app.people using gin ("Name" app.gin_trgm_ops);
create index people_plain on app.people using btree (id app.plain_ops);
alter table app.people cluster on people_other;
create statistics app.people_statistics (ndistinct, mcv) on id, other from app.people;
create statistics app.people_expressions on lower("Name"), app.twice(id) from app.people;
alter statistics app.people_statistics set statistics 77;
comment on statistics app.people_statistics is 'statistics';

-- views, one on the other, and in circles
create view app.zero as select id, "Name", mood from app.people where id > 0;
create view app.aaa with (security_barrier = true) as select z.id, z."Name" from app.zero as z with local check option;
alter view app.zero alter column mood set default 'sad';
comment on view app.aaa is 'a view';
comment on column app.aaa.id is 'of a view';
grant select (id) on app.aaa to evdb_reader;
create view app.by_key as select p.id, p."Name", p.made, count(*) as times from app.people as p join app.children as c on c.event_id = p.id group by p.id;
create recursive view app.steps (n) as values (1) union all select n + 1 from steps where n < 3;
create materialized view app.filled as select id, "Name" from app.aaa;
create unique index filled_id on app.filled (id);
comment on materialized view app.filled is 'a materialized view';
alter materialized view app.filled alter column "Name" set statistics 9;
create materialized view app.unfilled with (fillfactor = 50) as select id from app.filled with no data;
create view app.circle as select 1 as a, 'x'::text collate app.german as b;
create function app.of_circle() returns setof app.circle language sql begin atomic select * from app.circle; end;
create or replace view app.circle as select a, b from app.of_circle();
create table app.self (id integer, valid boolean);
create function app.self_valid(app.self) returns boolean language plpgsql immutable as $$ begin return true; end $$;
alter table app.self add constraint self_check check (app.self_valid(self.*));
create function app.count_self() returns integer language sql stable begin atomic select count(*)::integer from app.self; end;
alter table app.self alter column id set default app.count_self();
create domain app.checked as text;
create function app.check_it(app.checked) returns boolean language plpgsql immutable as $$ begin return true; end $$;
alter domain app.checked add constraint checked_by_itself check (app.check_it(value));
create function app.rows_of() returns setof app.people language sql stable as 'select * from app.people';

-- rules, triggers, policies
create rule quiet as on delete to app.people where old.id = 1 do instead nothing;
create rule many as on update to app.zero do instead (update app.people set "Name" = new."Name" where id = old.id; select 1);
alter table app.people disable rule quiet;
comment on rule quiet on app.people is 'a rule';
create trigger "a trigger" before insert or update of "Name" on app.people for each row when (new.id > 0) execute function app.touch('an', 'argument');
comment on trigger "a trigger" on app.people is 'a trigger';
create trigger always after delete on app.people for each statement execute function app.touch();
alter table app.people enable always trigger always;
create trigger sets after update on app.people referencing old table as before new table as after for each statement execute function app.touch();
create constraint trigger checks after insert on app.people deferrable initially deferred for each row execute function app.touch();
create trigger instead instead of insert on app.zero for each row execute function app.touch();
alter table app.people enable row level security;
alter table app.people force row level security;
create policy "see own" on app.people as restrictive for select to evdb_reader, evdb_writer using ("Name" = current_user);
create policy write on app.people for insert with check (true);
create policy all_of_it on app.people using (id > 0) with check (id > 1);
comment on policy write on app.people is 'a policy';
alter table app.child enable row level security;

-- of the whole database
create event trigger watcher on ddl_command_end when tag in ('create table', 'drop view') execute function app.watch();
alter event trigger watcher disable;
comment on event trigger watcher is 'an event trigger';
create publication parts for table app.people, app."Odd Table" with (publish = 'insert, update');
create publication everything for all tables with (publish_via_partition_root = true);
comment on publication parts is 'a publication';
alter default privileges in schema app grant select on tables to evdb_reader;
alter default privileges revoke execute on functions from public;
alter default privileges grant usage on schemas to evdb_writer with grant option;
grant execute on function pg_catalog.pg_ls_dir(text) to evdb_reader;
revoke usage on type public.citext from public;
alter function app.twice(text) depends on extension citext;

-- a copied identity: its sequence is a bigint with the limits of integer
create table app.numbered (
    id integer generated always as identity (start with 7 increment by 3 minvalue 5 maxvalue 1000 cycle),
    small smallint generated by default as identity
);
create table app.numbered_copy (like app.numbered including all);
