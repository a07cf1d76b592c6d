-- Views on t, which forbid to change the types of its columns.
create view vw as select id, a, c from t;
create materialized view mv as select * from t;
create unique index mvu on mv (id);
analyze;
