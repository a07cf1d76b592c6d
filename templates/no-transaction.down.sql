-- evdb: no-transaction
-- Rolls back: {{name}}

