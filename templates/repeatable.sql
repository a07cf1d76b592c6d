-- {{name}}
--
-- Applied after the migrations whenever its SQL has changed, so write it to run again:
-- create or replace …, or drop … if exists before create.

