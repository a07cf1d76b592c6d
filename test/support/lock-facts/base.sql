-- The database on which the statements of facts.jsonl are run; views.sql or plain.sql follows.
create function stab() returns integer language sql stable as 'select 1';
create function vol() returns integer language plpgsql volatile as 'begin return 1; end';
-- The planner puts the body in its place, so that it is a constant after all.
create function inlined() returns integer language sql volatile as 'select 1';
create function trg() returns trigger language plpgsql as 'begin return new; end';
create domain dom as integer;
create domain domc as integer check (value > 0);
create type en as enum ('a', 'b');
create sequence sq;

-- Referenced by t3, and by sub.q of plain.sql.
create table r (id integer primary key);
insert into r select generate_series(1, 1000);

create table t (
    id integer,
    a integer,
    b varchar(10),
    c text,
    ci char(8),
    n numeric(10, 2),
    d timestamp,
    nn integer not null,
    vb varchar(20),
    e timestamptz,
    j jsonb,
    cid cidr
);
insert into t
select
    i, i, 'b' || i, 'c' || i, 'ci', i, '2024-01-01', i, 'vb', '2024-01-01 00:00+00', '{}', '10.0.0.0/8'
from generate_series(1, 1000) as i;
create unique index t_id_u on t (id);
create index t_b on t (b);
create index t_a on t (a);
create unique index t_nn_u on t (nn, id);
alter table t add constraint c_nv check (a > 0) not valid;
create trigger tg before update on t for each row execute function trg();

-- A validated check proves that a holds no null.
create table t2 (id integer, a integer, constraint c_nn check (a is not null));
insert into t2 select i, i from generate_series(1, 1000) as i;
create unique index t2_a_u on t2 (a);

create table t3 (id integer, a integer);
insert into t3 select i, i from generate_series(1, 1000) as i;
alter table t3 add constraint fknv foreign key (a) references r (id) not valid;

-- A check that is not validated proves nothing.
create table tnv (id integer, a integer);
insert into tnv select i, i from generate_series(1, 1000) as i;
alter table tnv add constraint c_nn check (a is not null) not valid;

create table tnn18 (id integer, a integer);
insert into tnn18 select i, i from generate_series(1, 1000) as i;
do $$
begin
    if current_setting('server_version_num')::integer >= 180000 then
        execute 'alter table tnn18 add constraint nnv18 not null a not valid';
    end if;
end
$$;

create table rp (id integer primary key) partition by range (id);
create table rp1 partition of rp for values from (0) to (2000);
insert into rp select generate_series(1, 1000);

create table pt (id integer not null, a integer) partition by range (id);
create table pt1 partition of pt for values from (0) to (3000);
create table ptd partition of pt default;
insert into pt select i, i from generate_series(1, 1000) as i;

create table pt0 (id integer not null, a integer) partition by range (id);
create table cand (id integer not null, a integer);
insert into cand select i, i from generate_series(3000, 3500) as i;
create table cand2 (
    id integer not null,
    a integer,
    constraint in_range check (id is not null and id >= 4000 and id < 5000)
);
insert into cand2 select i, i from generate_series(4000, 4500) as i;

create table td (x dom, y en);
insert into td select i, 'a' from generate_series(1, 1000) as i;

-- A check that mentions the column whose type changes.
create table tc (id integer, c varchar(10), constraint c_len check (length(c) < 100));
insert into tc select i, 'c' from generate_series(1, 1000) as i;

create table par (id integer);
create view vwx as select id from cand2;
