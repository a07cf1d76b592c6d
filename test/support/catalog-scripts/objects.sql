create schema app;
create schema "Other Schema"
    create table inside (id integer primary key)
    create view shown as select id from inside;
set search_path to app, public;

create type mood as enum ('b', 'd');
alter type mood add value 'a' before 'b';
alter type mood add value 'c' after 'b';
alter type mood add value if not exists 'c';
alter type mood rename value 'd' to 'dd';
create type pair as (x integer, y text);
alter type pair add attribute z mood[];
alter type pair rename attribute x to xx;
create type span as range (subtype = float8);
create domain plain as integer;
create domain checked as plain default 3 check (value > 0) constraint small check (value < 100);
create domain there as text not null;
alter domain plain add constraint later check (value > -5) not valid;
alter domain checked drop constraint small;
alter domain checked rename constraint checked_check to is_positive;
alter domain there drop not null;
alter domain plain validate constraint later;

create table t (id integer primary key, m mood, p pair, s span, c checked, d there);
create view v as select id, m from t;
create view w as select v.id, x.c from v join t as x using (id);
create materialized view mv as select * from t;
create unique index on mv (id);
create or replace view v as select id, m, c from t;
create view gone as select 1 as one;
drop view gone;

create function one() returns integer language sql immutable as 'select 1';
create function two(a text) returns integer language plpgsql as 'begin return 1; end';
create procedure three() language sql as 'select 1';
create function old() returns integer language sql as 'select 1';
create function trg() returns trigger language plpgsql as 'begin return new; end';
create function trg2() returns trigger language plpgsql as 'begin return new; end';
create trigger a before insert on t for each row execute function trg();
create trigger b before insert on t for each row execute function trg2();
create trigger c before insert on t for each row execute function trg();
alter trigger a on t rename to aa;
drop trigger c on t;
drop function trg2() cascade;
alter function one() stable;
drop function old();

create type row_type as (a integer, b varchar(5));
create table typed of row_type;
alter type row_type add attribute c integer cascade;
alter type row_type alter attribute a type bigint cascade;
create domain sorted as text collate "C";
create table collated (
    a text collate "C", b text, c sorted, d varchar(5) collate "C", n name, l text[]
);
create index on collated (a);
create index on collated (a collate "POSIX", b);
create index on collated using gin (l);
alter table collated alter column d type varchar(9);

create sequence s;
create sequence if not exists s;
drop sequence s;
create table public.q (id integer references t (id), m mood);
alter type mood rename to feeling;
alter table t set schema public;
alter type pair set schema public;
alter view w rename to ww;
alter schema app rename to application;
set search_path to application, public;
create table u (f feeling, x integer);
drop domain there cascade;
create table x (id integer primary key, f feeling);
create view on_x as select f from x;
drop schema "Other Schema" cascade;
