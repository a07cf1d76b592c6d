create table a_table_with_a_name_that_is_as_long_as_postgresql_allows_it (
    id serial,
    a_column_with_a_name_that_is_as_long_as_postgresql_allows_it_to integer unique check (a_column_with_a_name_that_is_as_long_as_postgresql_allows_it_to > 0),
    another_column_with_a_long_name text not null,
    primary key (id)
);
create index on a_table_with_a_name_that_is_as_long_as_postgresql_allows_it (another_column_with_a_long_name, id);
create table "größer_als_man_denkt_und_länger_als_erlaubt_ist_für_öäü" ("straße_mit_einem_sehr_langen_namen_öäüß" integer unique);
create table t (a integer, b integer, c text);
create index on t (a, b);
create index on t (a, b);
create index on t (lower(c), upper(c), lower(c));
create index on t ((a + b), (c || 'x'));
create index on t (coalesce(a, b), (c::varchar(3)), (case when a > 0 then b end));
create index on t ((a::text), (b > 1), greatest(a, b));
create table t_a_b_idx3 (id integer);
create index on t (a, b);
alter table t add check (a > 0), add check (a > 1);
alter table t add check (1 > 0), add check (a > b);
alter table t add unique (a), add unique (a, b);
alter table t rename to renamed;
alter table renamed add primary key (a);
alter table renamed rename constraint t_a_key to "Renamed Key";
alter index renamed_pkey rename to other_pkey;
alter table renamed rename column a to aa;
alter table renamed rename constraint t_a_check to aa_check;
create index on renamed (aa);
create table s (renamed_id integer references renamed, b integer references renamed (aa));
alter table s rename to s2;
alter table s2 rename column b to bb;
alter index renamed_aa_idx rename to by_aa;
alter sequence a_table_with_a_name_that_is_as_long_as_postgresql_allows_id_seq rename to short_seq;
