-- What came with PostgreSQL 16 to 18.
create table app.not_nulls (
    a integer constraint "a is there" not null,
    b integer not null no inherit,
    c integer,
    d integer generated always as (a * 2) virtual,
    e integer,
    constraint not_enforced check (a > 0) not enforced,
    constraint not_nulls_pkey primary key (a)
);
alter table app.not_nulls add constraint "c later" not null c not valid;
alter table app.not_nulls add constraint commented_not_null not null e;
comment on constraint commented_not_null on app.not_nulls is 'of a not null';
comment on constraint "a is there" on app.not_nulls is 'of another';
create table app.references_not_enforced (a integer constraint far_away references app.not_nulls (a) not enforced);
create table app.periods (id integer, valid daterange, constraint periods_pkey primary key (id, valid without overlaps));
create table app.period_parts (id integer, valid daterange, constraint parts_fkey foreign key (id, period valid) references app.periods (id, period valid));
create domain app.named_not_null as text constraint "must be" not null;
create collation app.built_in (provider = builtin, locale = 'C.UTF-8');
create collation app.with_rules (provider = icu, locale = 'und', rules = '&V << w <<< W');
create publication with_generated for table app.not_nulls with (publish_generated_columns = stored);
create view app.checked_invoker with (security_invoker = true, security_barrier = true) as select a from app.not_nulls;
grant maintain on app.not_nulls to evdb_writer;
