-- evdb: no-transaction
-- Takes back: {{name}}

