-- {{name}}
--
-- Say why, which locks it takes, and whether the running application still works with it.

