/**
 * What a variable of a script can be called. In lower case alone, because it also stands in the environment:
 * `EVDB_VAR_APP_ROLE`.
 */
export const VARIABLE_NAME = /^[a-z][a-z0-9_]{0,62}$/;
