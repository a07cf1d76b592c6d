-- What came with PostgreSQL 15.
create table public.outside (a integer);
create table app.distinct_nulls (a integer, constraint distinct_nulls_key unique nulls not distinct (a));
create view app.invoked with (security_invoker = true) as select 1 as one;
create unlogged sequence app.unlogged_numbers;
create publication filtered for table app.people (id, "Name") where (id > 10);
create publication of_schema for tables in schema app, table public.outside;
