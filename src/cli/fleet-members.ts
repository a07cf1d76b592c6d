import type { FleetSettings } from '../config/fleet-settings.ts';
import type { Config } from '../config/resolve.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import type { SessionKeeper } from '../connection/session-keeper.ts';
import { EvdbError } from '../errors.ts';
import { resolveMemberConfig } from '../fleet/member-config.ts';
import { type FleetMember, readFleet } from '../fleet/members.ts';
import { selectMembers } from '../fleet/waves.ts';
import { renderSuggestion } from '../text/words.ts';
import type { CommandInput, Flags } from './define.ts';
import { configFlags, loadConfig, resolveConnection } from './settings.ts';

/** A fleet of the config file, and how to reach its members. */
export interface LoadedFleet {
  name: string;
  settings: FleetSettings;
  /** The configuration of members that have no URL. */
  config: Config;
  /** Reads who its members are; of all, those that `--only` takes. */
  readMembers(only?: readonly string[]): Promise<FleetMember[]>;
  /** The configuration of a member, whose sessions the keeper keeps. */
  configOf(member: FleetMember, keeper?: SessionKeeper): Promise<Config>;
}

/**
 * Reads the fleet that a command names.
 *
 * @throws {EvdbError} USAGE for a fleet that is not there, and those of `readFleet` and `selectMembers`
 */
export async function loadFleet(input: CommandInput, name: string): Promise<LoadedFleet> {
  const first = await loadConfig(input);
  const settings = findFleet(first, name);
  const flags = flagsOf(input.flags, settings);
  const isOwn = settings.url !== undefined || settings.environment !== undefined;
  const config = isOwn ? await loadConfig({ ...input, flags }) : first;
  let base: Promise<Config> | undefined;
  const baseOf = () => (base ??= withServer(config, input));
  const { projectDir } = config;
  const connect = async () => connectionOf(await baseOf());
  return {
    ...{ name, settings, config },
    readMembers: async (only = []) => {
      const all = await readFleet({ name, settings, projectDir, connect });
      const members = selectMembers(all, only, name);
      refuseSchema(input.flags, members);
      return members;
    },
    configOf: async (member, keeper) => {
      const base = member.url === undefined ? await baseOf() : config;
      const { env, cwd } = input.context;
      const from = { fleet: name, base, flags: configFlags(flags), env, cwd, keeper };
      return resolveMemberConfig(member, from);
    },
  };
}

function findFleet({ fleets, configFile }: Config, name: string): FleetSettings {
  const settings = fleets[name];
  if (settings) return settings;
  const known = Object.keys(fleets);
  const where = configFile === undefined ? 'no config file was found' : `not in ${configFile}`;
  throw new EvdbError(
    'USAGE',
    `the fleet "${name}" is not defined: ${where}${renderSuggestion(name, known)}`,
    {
      hint:
        known.length > 0
          ? `Defined are: ${known.join(', ')}.`
          : `Define it as fleets.${name} in a config file: with members, a file or a query.`,
    },
  );
}

/** A member's own schema is what makes it a member, so one for all of them cannot be meant. */
function refuseSchema({ schema }: Flags, members: readonly FleetMember[]): void {
  const own = members.find((member) => member.schema !== undefined);
  if (schema === undefined || own === undefined) return;
  throw new EvdbError(
    'USAGE',
    `--schema ${String(schema)} cannot be used here: the member ${own.name} has a schema of its own`,
    { hint: 'Leave out --schema, or choose members with --only.' },
  );
}

/** What somebody gives on the command line goes before what the fleet says. */
function flagsOf(flags: Flags, { url, environment }: FleetSettings): Flags {
  if (flags.url !== undefined || flags.embedded === true) return flags;
  if (url !== undefined) return { ...flags, url };
  return environment !== undefined && flags.env === undefined
    ? { ...flags, env: environment }
    : flags;
}

/** Where the embedded server is meant, it is started once, and not for each member. */
async function withServer(config: Config, input: CommandInput): Promise<Config> {
  if (config.migrationConnection || config.connection.kind === 'server') return config;
  const options = await resolveConnection(config, input.context);
  return { ...config, connection: { kind: 'server', options } };
}

/** Sessions of their own are what most commands need, so the list is read on that way too. */
function connectionOf({ connection, migrationConnection }: Config): ConnectionOptions {
  if (migrationConnection) return migrationConnection.options;
  if (connection.kind === 'server') return connection.options;
  throw new EvdbError('NOT_CONFIGURED', 'no database is configured');
}
