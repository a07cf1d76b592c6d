import type postgres from 'postgres';
import { describe, expect } from 'vitest';
import { renderStructure } from '../../src/structure/render/structure.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { test } from './structure-kit.ts';

/** A structure, and what one asks of it to see whether a copy behaves as the original does. */
interface Behaviour {
  title: string;
  setup: string;
  /** Each runs in a transaction that is rolled back; its rows or its SQLSTATE are the answer. */
  asks: string[];
  /** As in server_version_num; default: every server. */
  since?: number;
  /** The first that does not allow it. */
  until?: number;
}

const NOT_NULLS: Behaviour[] = [
  {
    title: 'a not null that a child has from its parent under a name goes with the parent',
    setup:
      'create table p (a integer constraint p_a not null); create table c () inherits (p); create table k (a integer constraint k_a not null) inherits (p)',
    asks: [
      'alter table p alter a drop not null; insert into c values (null)',
      'alter table p alter a drop not null; insert into k values (null)',
    ],
  },
  {
    title: 'a not null of a table that was renamed goes with the parent',
    setup:
      'create table old (a integer not null, b integer primary key); create table c () inherits (old); alter table old rename to p; alter table p rename b to d',
    asks: [
      'alter table p alter a drop not null; insert into c values (null, 1)',
      'insert into c values (1, null)',
    ],
  },
  {
    title: 'a not null of a partition keeps its own name',
    setup:
      'create table q (a integer constraint q_a not null, b integer not null) partition by list (a); create table q1 partition of q (constraint mine not null a) for values in (1); create table q2 partition of q for values in (2); create table q3 (a integer constraint third not null, b integer constraint fourth not null); alter table q attach partition q3 for values in (3)',
    asks: [
      "select conname, conislocal, coninhcount from pg_constraint where conrelid in ('q1'::regclass, 'q2'::regclass, 'q3'::regclass) order by conrelid::regclass::text, conname",
      'alter table q alter a drop not null; insert into q1 values (null)',
    ],
    since: 180000,
  },
  {
    title: "a child's own not null stays when the parent's goes",
    setup:
      'create table p (a integer not null, b integer); create table c (a integer not null, constraint own not null b) inherits (p); create table d (b integer) inherits (p); alter table d alter b set not null',
    asks: [
      'alter table p alter a drop not null; insert into c values (null, 1)',
      'insert into c values (1, null)',
      'insert into d values (1, null)',
      'alter table p alter b set not null; alter table p alter b drop not null; insert into d values (1, null)',
    ],
    since: 180000,
  },
  {
    title: 'a not null that is not valid, or not for children, stays so',
    setup:
      'create table p (a integer, b integer not null no inherit); create table c () inherits (p); alter table p add constraint later not null a not valid',
    asks: [
      'select conname, convalidated, connoinherit, conislocal from pg_constraint order by conrelid::regclass::text, conname',
      'insert into c values (null, 1)',
      'insert into c values (1, null)',
    ],
    since: 180000,
  },
  {
    title: 'a child that validated the not null of its parent stays valid',
    setup:
      'create table p (a integer); create table c () inherits (p); alter table p add constraint later not null a not valid; alter table c validate constraint later',
    asks: [
      'select conrelid::regclass::text, conname, convalidated, conislocal from pg_constraint order by 1, 2',
    ],
    since: 180000,
  },
  {
    title: 'a not null keeps its name where something that is made before has it as well',
    setup: `
    create table orders (id integer not null, "My x" integer not null, y integer primary key); create table archived (like orders including all);
    create table z (a integer not null, b integer not null); create table a_z (a integer constraint z_a_not_null check (a > 0), b integer);
    create table p (a integer not null); create table c () inherits (p); create table b_p (a integer constraint p_a_not_null not null);
    create table q (a integer not null) partition by list (a); create table b_q (like q including all); alter table q attach partition b_q for values in (1);
    create domain d as integer not null; create table a_d (a integer constraint d_not_null check (a > 0));
    create schema app; create table app.z (a integer not null);
    create table v (a integer); create table k () inherits (v); alter table k alter a set not null; create table b_v (b integer constraint k_a_not_null not null)`,
    asks: [
      'select conrelid::regclass::text, contypid::regtype::text, conname, conislocal, coninhcount from pg_constraint order by 1, 2, 3',
      'alter table p alter a drop not null; insert into c values (null)',
    ],
    since: 180000,
  },
];

const TRIGGER_FUNCTION = `create function stamp() returns trigger language plpgsql as $$ begin new.note := concat(new.note, tg_name); return new; end $$;`;

const TRIGGERS: Behaviour[] = [
  {
    title: 'a trigger that is disabled on a partitioned table is so on its partitions',
    setup: `${TRIGGER_FUNCTION}
      create table events (id integer, note text) partition by list (id);
      create table events_1 partition of events for values in (1) partition by list (note);
      create table events_1_a partition of events_1 default;
      create table a_events partition of events for values in (2);
      create trigger stamp before insert on events for each row execute function stamp();
      alter table events disable trigger stamp`,
    asks: [
      "insert into events values (1, 'a'), (2, 'b') returning *",
      "alter table events enable trigger stamp; insert into events values (1, 'a'), (2, 'b') returning *",
      "create table e3 partition of events for values in (3); insert into e3 values (3, 'c') returning *",
    ],
  },
  {
    title: 'a trigger of a partition that is switched by itself stays so',
    setup: `${TRIGGER_FUNCTION}
      create table m_events (id integer, note text) partition by list (id);
      create table z partition of m_events for values in (1) partition by list (note);
      create table a partition of z default;
      create table b partition of m_events for values in (2);
      create table c partition of m_events for values in (3);
      create trigger stamp before insert on m_events for each row execute function stamp();
      create trigger "Always" before insert on m_events for each row execute function stamp();
      alter table m_events enable always trigger "Always";
      alter table m_events disable trigger stamp;
      alter table only z enable trigger stamp;
      alter table b enable replica trigger stamp;
      alter table b disable trigger "Always"`,
    asks: [
      "insert into m_events values (1, 'a'), (2, 'b'), (3, 'c') returning *",
      "set local session_replication_role = replica; insert into m_events values (1, 'a'), (2, 'b'), (3, 'c') returning *",
      'select tgrelid::regclass::text, tgname, tgenabled from pg_trigger order by 1, 2',
    ],
  },
];

const EXPRESSIONS: Behaviour[] = [
  {
    title: 'a partition computes its own generated column',
    setup:
      'create table g (a integer, b integer generated always as (a + 1) stored) partition by list (a); create table g1 (a integer, b integer generated always as (a + 2) stored); alter table g attach partition g1 for values in (1); create table g2 partition of g for values in (2)',
    asks: ['insert into g values (1), (2) returning *'],
    since: 160000,
  },
  {
    title: 'a child computes its own generated column',
    setup:
      'create table p (a integer, b integer generated always as (a + 1) stored); create table c (a integer, b integer generated always as (a * 10) stored, x text); alter table c inherit p; create table d () inherits (c)',
    asks: ['insert into c values (1) returning *', 'insert into d values (1) returning *'],
    since: 160000,
  },
  {
    title: 'a child computes its own virtual column',
    setup:
      'create table p (a integer, b integer generated always as (a + 1) virtual); create table c (b integer generated always as (a * 10) virtual) inherits (p); create table q (a integer, b integer generated always as (a + 1) virtual) partition by list (a); create table q1 partition of q (b generated always as (a * 7)) for values in (1)',
    asks: ['insert into c values (1) returning *', 'insert into q values (1) returning *'],
    since: 180000,
  },
  {
    title: 'a child of two parents with other defaults has its own',
    setup:
      'create table p1 (a integer default 1, k text); create table p2 (a integer default 2); create table c (a integer default 3) inherits (p1, p2); create table d (a integer default null) inherits (p1, p2); create table e (a integer default 2) inherits (p1, p2); create table only1 (x integer) inherits (p2)',
    asks: [
      'insert into c default values returning *',
      'insert into d default values returning *',
      'insert into e default values returning *',
      'insert into only1 default values returning *',
    ],
  },
  {
    title: 'a child whose parents got other defaults later has its own',
    setup:
      'create table p1 (a integer); create table p2 (a integer); create table c () inherits (p1, p2); create table d () inherits (c); alter table p1 alter a set default 1; alter table p2 alter a set default 2; alter table only p1 alter a set default 5',
    asks: [
      'insert into c default values returning *',
      'insert into d default values returning *',
      'insert into p1 default values returning *',
      'insert into p2 default values returning *',
      'alter table p1 drop a; alter table p2 drop a; select * from c',
    ],
  },
];

const CONSTRAINTS: Behaviour[] = [
  {
    title: "a child's own column stays when the parent's goes",
    setup:
      'create table p (a integer, b integer); create table c (a integer, x integer) inherits (p); create table d (a integer, b integer); alter table d inherit p',
    asks: [
      'alter table p drop a, drop b; insert into c values (1, 2) returning *',
      'alter table p drop a, drop b; insert into d values (1, 2) returning *',
    ],
  },
  {
    title: "a child's own check stays when the parent's goes",
    setup:
      'create table p (a integer, constraint positive check (a > 0)); create table c (constraint positive check (a > 0)) inherits (p); create table d () inherits (p)',
    asks: [
      'alter table p drop constraint positive; insert into c values (-1)',
      'alter table p drop constraint positive; insert into d values (-1)',
    ],
  },
  {
    title: 'a check that a child validated stays valid',
    setup:
      'create table p (a integer); create table c () inherits (p); create table d (x integer); alter table p add constraint positive check (a > 0) not valid; alter table c validate constraint positive; create table q (a integer) partition by list (a); create table q1 partition of q default; alter table q add constraint small check (a < 9) not valid; alter table q1 validate constraint small',
    asks: [
      'select conrelid::regclass::text, conname, convalidated, conislocal from pg_constraint order by 1, 2',
    ],
  },
  {
    title: 'a check that only a child enforces is enforced',
    setup:
      'create table p (a integer, constraint positive check (a > 0) not enforced); create table c (constraint positive check (a > 0)) inherits (p); create table d () inherits (p); create table q (a integer, constraint positive check (a > 0) not enforced) partition by list (a); create table q1 (a integer, constraint positive check (a > 0)); alter table q attach partition q1 for values in (-1); create table q2 partition of q for values in (-2); create table late (x integer, a integer, constraint positive check (a > 0)); alter table late inherit p',
    asks: [
      'insert into c values (-1)',
      'insert into d values (-1)',
      'insert into q values (-1)',
      'insert into q values (-2)',
      'insert into late values (1, -1)',
      'alter table p drop constraint positive; insert into c values (-1)',
    ],
    since: 180000,
  },
  {
    title: 'a foreign key that a partition validated stays valid',
    setup:
      'create table r (id integer primary key); create table q (a integer) partition by list (a); create table q1 partition of q for values in (1); create table q2 partition of q for values in (2); alter table q add constraint fk foreign key (a) references r not valid; alter table q1 validate constraint fk',
    asks: [
      "select conrelid::regclass::text, conname, convalidated from pg_constraint where contype = 'f' order by 1, 2",
      'alter table q validate constraint fk; select 1',
    ],
    since: 180000,
  },
  {
    title: 'a foreign key of a partition keeps its own name',
    setup:
      'create table r (id integer primary key); create table q (a integer, constraint of_all foreign key (a) references r) partition by list (a); create table q1 (a integer, constraint of_one foreign key (a) references r); alter table q attach partition q1 for values in (1)',
    asks: [
      "select conrelid::regclass::text, conname, conislocal, coninhcount, conparentid <> 0 from pg_constraint where contype = 'f' order by 1, 2",
      'insert into q values (1)',
      'alter table q drop constraint of_all; insert into q1 values (1)',
    ],
  },
  {
    title: 'unique constraints of the same columns stay two',
    setup:
      'create table u (a integer, b integer, constraint one unique (a, b), constraint three primary key (a)); alter table u add constraint two unique (a, b); alter table u add constraint four unique (a)',
    asks: [
      "select conname, contype from pg_constraint where contype in ('u', 'p') order by 1",
      'alter table u drop constraint one; insert into u values (1, 1), (1, 1)',
    ],
  },
  {
    title: 'the index behind a key keeps its options',
    setup: `
      create table t (
        a integer, b integer, "c) DEFERRABLE" integer,
        constraint a_key primary key (a) include ("c) DEFERRABLE") with (fillfactor = 60),
        constraint ab unique (a, b) with (fillfactor = 70, deduplicate_items = off) deferrable initially deferred,
        constraint b_key unique (b) deferrable, constraint same unique (b, a)
      );
      alter table t add constraint twin unique (b, a) with (fillfactor = 80);
      alter index b_key set (fillfactor = 33);
      create table q (a integer, primary key (a) with (fillfactor = 50)) partition by list (a);
      create table q1 partition of q for values in (1); alter index q1_pkey set (fillfactor = 40)`,
    asks: [
      'select indexrelid::regclass::text as name, array(select unnest(reloptions) order by 1) as options from pg_index join pg_class on pg_class.oid = indexrelid where relnamespace = 2200 order by 1',
      'select conname, condeferrable, condeferred from pg_constraint order by 1',
    ],
  },
];

const WORDS: Behaviour[] = [
  {
    title: 'what PostgreSQL words anew when it reads it is worded the same',
    setup: `
      create domain letter as varchar(3) check (value in ('a', 'b', 'it''s), (ARRAY['));
      create table t (
        s varchar(9), n int, d text, "q)(" varchar[], g boolean generated always as (s in ('a', 'b')) stored,
        check (s in ('a', 'b')), check (s not in ('a', 'b,c', 'd''e', E'f\\g')), check (s in ('a', null)),
        check (s = any (array[array['a', 'b'], array[s, d]]::varchar[])), check (s::varchar(3) in ('a', 'b')),
        check (s in ('a', d, lower(s) || 'x)''y', upper(d))), check (n between 1 and 3 and n in (1, 2) or s in ('x', 'y') and d is not null),
        check (s = any (array['a', 'b']::varchar(4)[])), check (coalesce(s, 'x') in ('a', 'b') or not (s in (d, 'c', lower(d)))),
        check ((s in ('a', 'b') or n = 1) or n = 2), check ((n = 1 and n = 2) and n = 3), check (n = 1 or (n = 2 or n = 3)),
        check ("q)(" && array['a', 'b']::varchar[] or d collate "C" < 'b')
      );
      create index i on t (n) where s in ('a', 'b');
      create view v as select s in ('a', 'b') as a, case when s in ('c', d, lower(d)) then 1 end as b from t where s in ('a', 'b') and (n = 1 or d in ('a', 'b', s));
      create policy p on t using (s in ('a', 'b')) with check (s not in ('c', 'd'));
      create rule r as on update to t where old.s in ('a', 'b') do instead nothing;
      create table l (s varchar(9)) partition by list ((s in ('a', 'b')));
      create function atomic(s varchar) returns boolean language sql begin atomic select s in ('a', 'b'); end;
      create function kept(s varchar default 'a') returns boolean language sql as $f$ select (ARRAY['a'::character varying])::text[] = array[s]::text[] $f$`,
    asks: [
      "insert into t (s, n) values ('q', 1)",
      "insert into t (s, n) values ('a', 1)",
      "select atomic('a'), atomic('z'), 'b'::letter",
      "select 'z'::letter",
    ],
  },
  {
    title: 'a list of values that PostgreSQL words anew when it reads it is worded the same',
    setup: `
    create view v (x, y) as values (1, '(VALUES (1'), (2, '(ARRAY['); create view u (q) as select 1 union values (2);
    create view plain as values (1), (2); create view named as select * from (values (1, 2), (3, 4)) as "(VALUES " (a, b);
    create view inside as with w (k) as (values (1)) select k, k in (values (1), (2)) as i, (select max(z) from (values (k), (k + 1)) as m (z)) as m from w;
    create materialized view mat (a) as values ('a'::text); create table t (a integer, b text);
    create rule r as on insert to t where new.a = 5 do instead update t set b = s.x from (values ('x')) as s (x);
    create function atomic() returns table (x integer) language sql begin atomic values (1), (2); end;
    create function kept() returns text language sql as $f$ select '(VALUES (1' $f$`,
    asks: [
      'select * from v',
      'select * from u',
      'select * from named',
      'select * from inside',
      'select atomic(), kept()',
    ],
  },
];

const SETTINGS: Behaviour[] = [
  {
    title: 'a sequence is unlogged where it was, whatever its table is',
    setup: `
      create unlogged table t (a serial, b integer generated always as identity, c integer generated always as identity);
      create table u (a serial, b integer generated always as identity);
      alter sequence t_b_seq set logged; alter sequence u_b_seq set unlogged`,
    asks: ["select relname, relpersistence from pg_class where relkind = 'S' order by relname"],
    since: 150000,
  },
  {
    title: 'a child has the settings of its columns, and not those of its parents',
    setup: `
      create table p (a text, b text, c text, d text);
      create table same () inherits (p); create table without () inherits (p); create table moved (d text, c text, b text, a text);
      alter table moved inherit p;
      alter table p alter a set statistics 44, alter b set storage external, alter c set compression pglz, alter d set (n_distinct = 5);
      alter table only without alter a set statistics -1, alter b set storage extended, alter c set compression default, alter d reset (n_distinct);
      create table later () inherits (p)`,
    asks: [
      "select attrelid::regclass::text, attname, coalesce(attstattarget, -1) as target, attstorage, attcompression, array(select o from unnest(attoptions) as o where o like 'n_distinct%') as options from pg_attribute where attrelid in ('p'::regclass, 'same'::regclass, 'without'::regclass, 'moved'::regclass, 'later'::regclass) and attnum > 0 order by 1, 2",
    ],
  },
  {
    title: 'a child may take null where only its parent does not',
    setup:
      'create table p (a integer, b integer); create table c () inherits (p); create table d (b integer, a integer); alter table d inherit p; alter table only p add constraint p_key primary key (a)',
    asks: ['insert into c values (null, 1)', 'insert into d values (1, null)'],
    until: 180000,
  },
];

const PATHS: Behaviour[] = [
  {
    title: 'a comparison that does not name its operator means that of the type',
    setup: `
      create schema tools; create schema "My tools"; create extension citext schema tools; create extension hstore schema "My tools";
      set search_path = public, tools, "My tools";
      create table t (
        a citext, b citext, h hstore,
        same boolean generated always as (a is not distinct from b) stored,
        check (case a when 'x' then false else true end), check (nullif(b, 'y') is not null), check (h is distinct from 'a=>1')
      );
      create view v as select x.a is distinct from y.b as other from t as x join t as y using (a);
      create index i on t (a) where b is distinct from 'z'`,
    asks: [
      "insert into t values ('a', 'A') returning same",
      "insert into t values ('X', 'A')",
      "insert into t values ('a', 'Y')",
      "insert into t values ('a', 'A', 'a=>1')",
      "insert into t values ('a', 'A'), ('A', 'a'); select * from v",
    ],
  },
  {
    title: 'a function that calls another by its bare name serves in an expression',
    setup: `
      create schema app; set search_path = app;
      create function inner_one(integer) returns integer language sql immutable as 'select $1 * 2';
      create function outer_one(integer) returns integer language sql immutable as 'select inner_one($1) + 1';
      create table g (a integer, b integer generated always as (outer_one(a)) stored)`,
    asks: ['set local search_path = app; insert into g values (3) returning b'],
  },
];

const mayExecute = (role: string, routine: string) =>
  `select has_function_privilege('${role}', '${routine}', 'execute')`;

const PRIVILEGES: Behaviour[] = [
  {
    title: 'what an extension brought has the privileges that it was given',
    setup: `
      create schema tools; create extension pg_stat_statements schema tools; create extension citext; create extension postgres_fdw;
      revoke select on tools.pg_stat_statements from public;
      grant select (calls, "query") on tools.pg_stat_statements to evdb_reader;
      grant select (calls) on tools.pg_stat_statements to evdb_writer with grant option;
      revoke execute on function citext_eq(citext, citext) from public;
      grant execute on function citext_eq(citext, citext) to evdb_reader with grant option;
      revoke usage on type citext from public;
      grant usage on foreign data wrapper postgres_fdw to evdb_writer;
      grant execute on function min(citext) to evdb_writer;`,
    asks: [
      "select has_table_privilege('public', 'tools.pg_stat_statements', 'select'), has_column_privilege('evdb_reader', 'tools.pg_stat_statements', 'query', 'select'), has_column_privilege('evdb_writer', 'tools.pg_stat_statements', 'calls', 'select with grant option')",
      mayExecute('evdb_writer', 'citext_eq(citext,citext)'),
      mayExecute('evdb_reader', 'citext_eq(citext,citext)'),
      mayExecute('evdb_writer', 'min(citext)'),
      "select has_type_privilege('evdb_reader', 'citext', 'usage'), has_foreign_data_wrapper_privilege('evdb_writer', 'postgres_fdw', 'usage')",
    ],
  },
  {
    title: 'what PostgreSQL brought has the privileges that it was given',
    setup: `
      revoke execute on function pg_sleep(double precision) from public;
      grant execute on function pg_ls_dir(text) to evdb_reader;
      revoke usage on language plpgsql from public; grant usage on language plpgsql to evdb_writer;
      revoke usage on language sql from public;
      grant select (rolname, "rolpassword") on pg_authid to evdb_reader;
      revoke select on pg_class from public;
      grant create on schema information_schema to evdb_writer; revoke select on information_schema.columns from public;
      revoke usage on type point from public; create table t (a integer)`,
    asks: [
      mayExecute('evdb_reader', 'pg_sleep(double precision)'),
      mayExecute('evdb_reader', 'pg_ls_dir(text)'),
      "select has_language_privilege('evdb_reader', 'plpgsql', 'usage'), has_language_privilege('evdb_writer', 'plpgsql', 'usage'), has_language_privilege('evdb_reader', 'sql', 'usage')",
      "select has_column_privilege('evdb_reader', 'pg_authid', 'rolpassword', 'select'), has_table_privilege('evdb_reader', 'pg_class', 'select'), has_schema_privilege('evdb_writer', 'information_schema', 'create'), has_table_privilege('evdb_reader', 'information_schema.columns', 'select'), has_table_privilege('evdb_reader', 'information_schema.tables', 'select'), has_type_privilege('evdb_reader', 'point', 'usage')",
    ],
  },
  {
    title: 'what depends on an extension goes with it',
    setup: `
      create extension citext; create extension pg_trgm;
      create function f() returns integer language sql as 'select 1'; alter function f() depends on extension citext; alter function f() depends on extension pg_trgm;
      create procedure p() language sql as ''; alter procedure p() depends on extension citext;
      create table t (a integer primary key, b text); create index i on t (b); alter index i depends on extension pg_trgm; alter index t_pkey depends on extension citext;
      create materialized view m as select a from t; alter materialized view m depends on extension citext;
      create function stamp() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger tr before insert on t for each row execute function stamp(); alter trigger tr on t depends on extension citext;`,
    asks: ['citext', 'pg_trgm'].map(
      (extension) =>
        `drop extension ${extension}; select proname from pg_proc where pronamespace = 2200 and proname in ('f', 'p') union all select relname from pg_class where relnamespace = 2200 union all select tgname from pg_trigger order by 1`,
    ),
  },
];

const PUBLISHED = `select pubname, tablename from pg_publication_tables order by 1, 2`;

const TYPE_PRIVILEGES = `select typname, typtype, has_type_privilege('evdb_reader', oid, 'usage'), has_type_privilege('evdb_writer', oid, 'usage'), obj_description(oid, 'pg_type') from pg_type where typnamespace = 2200 order by 1`;

const RANGES: Behaviour[] = [
  {
    title: 'a range has the privileges of its default once',
    setup: `
      alter default privileges revoke usage on types from public; alter default privileges grant usage on types to evdb_reader;
      create type r as range (subtype = float8); alter default privileges grant usage on types to evdb_writer; create type s as range (subtype = float8)`,
    // those of the multirange alone would fail on PostgreSQL 17
    asks: [`select * from (${TYPE_PRIVILEGES}) as p where typtype = 'r'`],
  },
  {
    title: 'the multirange of a range has its own comment',
    setup: `create type r as range (subtype = float8, multirange_type_name = "to m"); comment on type "to m" is 'many'; create type s as range (subtype = float8); comment on type s is 'one'`,
    asks: [TYPE_PRIVILEGES],
  },
  {
    title: 'the multirange of a range has its own privileges',
    setup: `
      create type r as range (subtype = float8, multirange_type_name = "to m"); create type s as range (subtype = float8); grant usage on type s to evdb_reader;
      revoke usage on type "to m" from public; grant usage on type "to m" to evdb_reader with grant option`,
    asks: [TYPE_PRIVILEGES],
    until: 170000,
  },
];

const AGGREGATES: Behaviour[] = [
  {
    title: 'an aggregate over a sorted set has what is said of it',
    setup: `
      create extension citext;
      create aggregate " ORDER BY ("(p float8 order by v anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra);
      create aggregate most(order by anyelement) (sfunc = ordered_set_transition, stype = internal, finalfunc = mode_final, finalfunc_extra);
      create aggregate place(variadic "any" order by variadic "any") (sfunc = ordered_set_transition_multi, stype = internal, finalfunc = rank_final, finalfunc_extra, hypothetical);
      create aggregate number(*) (sfunc = int8inc, stype = bigint, initcond = '0');
      revoke execute on function " ORDER BY ("(float8, anyelement), most(anyelement), place("any"), number() from public;
      grant execute on function place("any") to evdb_reader;
      comment on aggregate " ORDER BY ("(float8 order by anyelement) is 'a'; comment on aggregate most(order by anyelement) is 'b'; comment on aggregate place(variadic "any" order by variadic "any") is 'c';
      alter function " ORDER BY ("(float8, anyelement) depends on extension citext; alter function place("any") depends on extension citext; alter function number() depends on extension citext`,
    asks: [
      "select proname, proargtypes::regtype[]::text, has_function_privilege('evdb_reader', oid, 'execute'), has_function_privilege('evdb_writer', oid, 'execute'), obj_description(oid, 'pg_proc') from pg_proc where pronamespace = 2200 and prokind = 'a' and proowner = (select proowner from pg_proc where proname = 'most') and oid not in (select objid from pg_depend where deptype = 'e') order by 1",
      'drop extension citext; select proname from pg_proc where pronamespace = 2200 order by 1',
    ],
  },
];

const KINDS: Behaviour[] = [
  {
    title: 'a publication has those children of a table that it had',
    setup: `
      create table "a (,x" (id integer); create table k () inherits ("a (,x"); create table o (id integer);
      create table q (id integer) partition by list (id); create table q1 partition of q for values in (1);
      create publication alone for table only "a (,x", o, q; create publication whole for table "a (,x"`,
    asks: [PUBLISHED],
  },
  {
    title: 'a publication has those rows of a table that it had',
    setup: `
      create table a (id integer, note text, done boolean); create table k () inherits (a); create table l () inherits (k);
      create publication rows for table only k where (done), only a (id, note) where (note in (E'a\\),', 'b''(') or note = btrim(note, '(,')), l where (starts_with(note, ','))`,
    asks: [PUBLISHED, 'select pg_get_expr(prqual, prrelid) from pg_publication_rel order by 1'],
    since: 150000,
  },
  {
    title: 'an operator class whose members are all of its family',
    setup:
      'create operator family fam using btree; alter operator family fam using btree add operator 1 < (integer, integer), operator 2 <= (integer, integer), operator 3 = (integer, integer), operator 4 >= (integer, integer), operator 5 > (integer, integer), function 1 (integer, integer) btint4cmp(integer, integer); create operator class cls for type integer using btree family fam as storage integer; create table t (a integer); create index i on t (a cls)',
    asks: ['insert into t values (1); set local enable_seqscan = off; select * from t where a = 1'],
  },
  {
    title: 'an extension keeps its composite types to itself',
    setup: 'create extension tablefunc; create extension pgrowlocks',
    asks: ["select count(*) from pg_depend where deptype = 'e'"],
  },
];

const BEHAVIOURS: Behaviour[] = [
  ...NOT_NULLS,
  ...TRIGGERS,
  ...EXPRESSIONS,
  ...CONSTRAINTS,
  ...PRIVILEGES,
  ...RANGES,
  ...AGGREGATES,
  ...KINDS,
  ...WORDS,
  ...PATHS,
  ...SETTINGS,
];

describe('in a copy', () => {
  for (const { title, setup, asks, since = 0, until = Infinity } of BEHAVIOURS) {
    test(title, async ({ stage, emptyDb, skip }) => {
      const [server] =
        await stage.sql`select current_setting('server_version_num')::integer as version`;
      skip(server?.version < since, `came with PostgreSQL ${since / 10000}`);
      skip(server?.version >= until, `went with PostgreSQL ${until / 10000}`);
      await stage.ensureRoles();
      await stage.sql.unsafe(setup).simple();
      const structure = await stage.read();
      const text = renderStructure(structure);
      const original = await answersAt(emptyDb.url, asks);
      let copied: unknown;
      const again = await stage.reload(text, {}, async (url) => {
        copied = await answersAt(url, asks);
      });
      expect({ text, answers: copied }).toEqual({ text, answers: original });
      expect(renderStructure(again)).toBe(text);
      expect(again).toEqual(structure);
    });
  }
});

/** The rows or the SQLSTATE that each statement gives; it leaves nothing. */
async function answersAt(url: string, asks: readonly string[]): Promise<unknown[]> {
  const sql = openSql(url, 1);
  const answers: unknown[] = [];
  try {
    for (const ask of asks) answers.push([ask, await answer(sql, ask)]);
    return answers;
  } finally {
    await closeSql(sql);
  }
}

async function answer(sql: postgres.Sql, ask: string): Promise<unknown> {
  try {
    const results = (await sql.unsafe(`begin; ${ask}`).simple()) as unknown[];
    return JSON.parse(JSON.stringify(results.at(-1)));
  } catch (error) {
    return (error as postgres.PostgresError).code;
  } finally {
    await sql.unsafe('rollback').simple();
  }
}
