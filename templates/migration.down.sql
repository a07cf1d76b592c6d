-- Rolls back: {{name}}

