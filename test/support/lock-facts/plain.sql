-- No view on t, but a column that depends on another, and a second table that references r.
alter table t add column g1 integer generated always as (a * 2) stored;
create schema sub;
create table sub.q (id integer references r (id));

-- Indexes of all kinds over columns whose types may change without a rewrite.
create table ix (
    id integer primary key,
    a integer,
    c varchar(50),
    cc varchar(50) collate "C",
    o oid,
    ar varchar(10)[],
    vb bit varying(8),
    x text
);
insert into ix
select i, i, 'c' || i, 'cc', i, array['a'], B'101', 'x' from generate_series(1, 100) as i;
create index ix_plain on ix (c);
create index ix_pattern on ix (c varchar_pattern_ops);
create index ix_include on ix (a) include (c);
create index ix_expression on ix (lower(c));
create index ix_partial on ix (c) where a > 0;
create index ix_predicate on ix (a) where c <> '';
create unique index ix_partial_unique on ix (c, id) where a > 0;
create index ix_gin on ix using gin (to_tsvector('english', c));
create index ix_hash on ix using hash (c);
create index ix_collated on ix (c collate "POSIX");
create index ix_cc on ix (cc);
create index ix_cc_default on ix (cc collate "default");
create index ix_o on ix (o);
create index ix_ar on ix using gin (ar);
create index ix_vb on ix (vb);
create index ix_x on ix (x);
alter table ix add constraint ix_unique unique (c, id);
alter table ix add constraint ix_exclude exclude (c with =);
alter table ix add constraint ix_exclude_part exclude (c with =) where (a > 0);

-- What uses a column, so that its type cannot change.
create table us (
    id integer primary key,
    t varchar(10),
    w varchar(10),
    p varchar(10),
    r varchar(10),
    g varchar(10),
    f varchar(10),
    free varchar(10),
    gg text generated always as (g || 'x') stored
);
create trigger us_of before update of t on us for each row execute function trg();
create trigger us_when before update on us for each row
    when (old.w is distinct from new.w) execute function trg();
create policy us_policy on us using (p <> '');
create rule us_rule as on update to us where old.r <> new.r do also nothing;
create function us_count() returns bigint language sql
begin atomic
    select count(*) from us where f = 'x';
end;

-- Tables of a composite type.
create type comp as (x integer, y varchar(10));
create table ty of comp;
insert into ty select i, 'y' from generate_series(1, 100) as i;
create index ty_y on ty (y);
create index ty_lower on ty (lower(y));

create table r18 (id integer primary key);
insert into r18 select generate_series(1, 100);
create table en18 (id integer, a integer);
insert into en18 select i, i from generate_series(1, 100) as i;
do $$
begin
    if current_setting('server_version_num')::integer >= 180000 then
        execute 'alter table en18 add constraint en_fk foreign key (a) references r18 (id) not enforced';
    end if;
end
$$;
analyze;
