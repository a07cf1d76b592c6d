-- Takes back: {{name}}

