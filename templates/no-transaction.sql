-- evdb: no-transaction
-- {{name}}
--
-- Each statement commits separately; a file with one statement is the easiest to recover.

