-- evdb: no-transaction
-- {{name}}
--
-- Each statement commits on its own; one statement a file is the easiest to recover.

