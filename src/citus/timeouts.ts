/**
 * How a lock timeout reaches the workers of a Citus cluster. `set local lock_timeout` holds on the
 * coordinator only, and DDL waits on a worker without end, unless `citus.propagate_set_commands` is
 * `local`. Then Citus sends each `set local` and each `reset` to the workers as the text of the whole
 * message that it stands in. So such a statement is a message of its own, and nothing else is
 * propagated: settings of evdb's own are made before, and taken back after it is off again.
 *
 * Source: citusdata/citus, commands/variableset.c, `ShouldPropagateSetCommand` and
 * `PostprocessVariableSetStmt`, which gets the query string of the message.
 */

/**
 * Statements that give a lock timeout to the workers, for the rest of the transaction, each to be sent
 * as a message of its own.
 *
 * @param limit in ms, or as text with a unit
 * @example
 * reachWorkers(500) // ["set local citus.propagate_set_commands = 'local'", "set local lock_timeout = '500ms'"]
 */
export function reachWorkers(limit: number | string): string[] {
  const text = typeof limit === 'number' ? `${limit}ms` : limit;
  return [
    "set local citus.propagate_set_commands = 'local'",
    `set local lock_timeout = '${text.replaceAll("'", "''")}'`,
  ];
}

/** In front of a message whose settings are not for the workers; the workers keep what they have. */
const STOP_REACHING_WORKERS = "set local citus.propagate_set_commands = 'none'; ";

/** The same for a session of whichever server. */
export function keepFromWorkers({ isCitus }: { isCitus: boolean }): string {
  return isCitus ? STOP_REACHING_WORKERS : '';
}

/**
 * In front of `create schema` for a schema that is evdb's own: where `citus.enable_schema_based_sharding`
 * is on, every new schema becomes that of a tenant, whose tables leave the coordinator.
 *
 * Source: citusdata/citus, commands/schema_based_sharding.c, `ShouldUseSchemaBasedSharding`.
 */
export const NO_TENANT_SCHEMA = 'set local citus.enable_schema_based_sharding = off; ';
