-- Ten faults, in a database that holds the event schema.
create table orders (
    id int primary key,
    status text not null,
    customer_id int,
    placed_at timestamptz not null default now()
);
create table customers (id int primary key);
-- 1: an index that a failed build left behind
create index orders_placed_idx on orders (placed_at);
update pg_index set indisvalid = false where indexrelid = 'orders_placed_idx'::regclass;
-- 2: an index twice
create index orders_status_idx on orders (status);
create index orders_status_again_idx on orders (status);
-- 3: a constraint that was never validated
alter table orders add constraint orders_status_is_known check (status <> '') not valid;
-- 4: a foreign key that no index supports, of a table that is not small
alter table orders add constraint orders_customer_id_fkey foreign key (customer_id) references customers;
insert into orders (id, status) select n, repeat('x', 60) from generate_series(1, 130000) n;
-- 5: a trigger that was switched off
create function touch() returns trigger language plpgsql set search_path = '' as $$ begin return new; end $$;
create trigger orders_touch before update on orders for each row execute function touch();
alter table orders disable trigger orders_touch;
-- 6: a sequence near its end
create sequence tickets_seq as smallint;
select setval('tickets_seq', 31000);
-- 7: a table without a partition for today
create table readings (at timestamptz not null) partition by range (at);
create table readings_2020 partition of readings for values from ('2020-01-01') to ('2021-01-01');
-- 8: a table that autovacuum leaves out
create table log (line text) with (autovacuum_enabled = false);
-- 9: a function that runs as its owner, with names that its caller can redirect
create function purge() returns void language sql security definer as 'delete from public.log';
-- 10: a counter that is not what it counts
insert into events (title, date_time, capacity) values ('Concert', now() + interval '9 days', 50);
set session_replication_role = replica;
update events set current_registrations = 7;
