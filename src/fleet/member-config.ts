import type { Variables } from '../config/environment.ts';
import { type Config, type ConfigFlags, resolveConfig } from '../config/resolve.ts';
import { checkOwnSchema } from '../config/values.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { SessionKeeper } from '../connection/session-keeper.ts';
import { EvdbError } from '../errors.ts';
import type { FleetMember } from './members.ts';

/** Where the settings of members come from. */
export interface MemberConfigOptions {
  /** What messages call the fleet. */
  fleet: string;
  /** The settings of members without a URL. */
  base: Config;
  /** Read with the URL of members that have one; default none. */
  flags?: ConfigFlags | undefined;
  /** Default `process.env`. */
  env?: Variables | undefined;
  /** Default: the working folder. */
  cwd?: string | undefined;
  /** Keeps the sessions of the members; default: each is opened and ended. */
  keeper?: SessionKeeper | undefined;
}

/**
 * The settings of a member: those of the fleet with its URL, its database and its schema. A URL without a
 * password gets it as any other does, from the environment or from `passwordCommand`.
 *
 * @throws {EvdbError} CONFIG_INVALID for a URL or a schema that cannot be, and those of `resolveConfig`
 * @example
 * const { schema, connection } = await resolveMemberConfig(member, { fleet: 'tenants', base: config });
 */
export async function resolveMemberConfig(
  member: FleetMember,
  { fleet, base, flags = {}, env, cwd, keeper }: MemberConfigOptions,
): Promise<Config> {
  const place = `fleet ${fleet}: ${member.name}`;
  const schema = member.schema && checkOwnSchema(member.schema, place);
  if (schema === base.ledgerSchema) {
    throw new EvdbError('CONFIG_INVALID', `${place}: the schema "${schema}" holds the ledger`, {
      hint: 'Leave it out of the fleet.',
    });
  }
  const own = schema === undefined ? {} : { schema };
  const { url, database } = member;
  const config =
    url === undefined
      ? { ...base, ...own }
      : await resolveConfig({
          flags: { ...flags, ...own, embedded: false, url },
          urlSource: place,
          ...(env && { env }),
          ...(cwd !== undefined && { cwd }),
        });
  return mapConnections(config, (options) => ({
    ...options,
    ...(database !== undefined && { database }),
    ...(keeper && { keeper }),
  }));
}

function mapConnections(
  config: Config,
  change: (options: ConnectionOptions) => ConnectionOptions,
): Config {
  const { connection, migrationConnection } = config;
  const changed = (options: ConnectionOptions) => ({
    kind: 'server' as const,
    options: change(options),
  });
  return {
    ...config,
    connection: connection.kind === 'server' ? changed(connection.options) : connection,
    ...(migrationConnection && { migrationConnection: changed(migrationConnection.options) }),
  };
}
