-- No view on t, but a column that depends on another, and a second table that references r.
alter table t add column g1 integer generated always as (a * 2) stored;
create schema sub;
create table sub.q (id integer references r (id));
analyze;
