import { spawn } from 'node:child_process';
import type { Config } from '../config/resolve.ts';
import { withInspection } from '../connection/inspection.ts';
import type { ConnectionOptions } from '../connection/options.ts';
import { runDoctor } from '../doctor/doctor.ts';
import { EvdbError } from '../errors.ts';
import { quoteIdent } from '../sql/quote.ts';
import { commandLine } from '../text/command-line.ts';
import { renderCount } from '../text/units.ts';
import type { FleetMember } from './members.ts';
import type { Wave } from './waves.ts';

/** What a check of a wave needs. */
export interface CheckWaveOptions {
  /** `doctor`, `query:<select>` (true where all is fine) or `command:<words>` (exit code 0). */
  check: string;
  fleet: string;
  /** The settings of a member. */
  configOf: (member: FleetMember) => Promise<Config>;
  /** Called with what a command prints; default: it is dropped. */
  onOutput?: ((text: string) => void) | undefined;
  /** The environment of a command; default `process.env`. */
  env?: NodeJS.ProcessEnv | undefined;
  /** The folder of a command; default: the working folder. */
  cwd?: string | undefined;
  /** Ends the asking; default: nothing does. */
  signal?: AbortSignal | undefined;
}

/**
 * Asks after a wave whether the next one may begin: each of its members by `doctor` or a query, one after
 * the other, or a command once, with the members in `EVDB_FLEET_MEMBERS`.
 *
 * @returns why not; undefined where all is fine
 * @throws {EvdbError} USAGE for a check that is none
 * @example
 * const [wave] = planWaves(members, { canary: '1' });
 * const configOf = (one: FleetMember) => resolveMemberConfig(one, { fleet: 'tenants', base: config });
 * if (wave) await checkFleetWave(wave, { check: 'doctor', fleet: 'tenants', configOf });
 */
export async function checkFleetWave(
  wave: Wave,
  options: CheckWaveOptions,
): Promise<string | undefined> {
  const { kind, what } = parseWaveCheck(options.check);
  const place = `the check after wave ${wave.number}`;
  if (kind === 'command') {
    const reason = await runCommand(wave, what, options);
    return reason && `${place}: ${reason}`;
  }
  for (const member of wave.members) {
    if (options.signal?.aborted) return undefined;
    const reason = await askMember(member, kind === 'query' ? what : undefined, options);
    if (reason !== undefined) return `${place}: ${member.name}: ${reason}`;
  }
  return undefined;
}

/**
 * Reads what `--wave-check` takes.
 *
 * @throws {EvdbError} USAGE
 * @example parseWaveCheck('query:select true') // { kind: 'query', what: 'select true' }
 */
export function parseWaveCheck(text: string): {
  kind: 'doctor' | 'query' | 'command';
  what: string;
} {
  const [, kind, what = ''] = /^(doctor|query|command)(?::(.+))?$/s.exec(text.trim()) ?? [];
  if (kind === 'doctor' && what === '') return { kind, what };
  if ((kind === 'query' || kind === 'command') && what !== '') return { kind, what };
  throw new EvdbError('USAGE', `${JSON.stringify(text)} is no check of a wave`, {
    hint: 'Write doctor, "query:select …" (true where all is fine) or "command:…" (exit code 0).',
  });
}

async function askMember(
  member: FleetMember,
  query: string | undefined,
  { configOf, fleet, signal }: CheckWaveOptions,
): Promise<string | undefined> {
  try {
    const config = await configOf(member);
    if (query !== undefined) return await askQuery(query, config, signal);
    const critical = await countCritical(config, signal);
    const more = commandLine('doctor', { fleet, only: `name=${member.name}` });
    const said = renderCount(critical, 'critical finding');
    return critical === 0 ? undefined : `doctor has ${said}; see: ${more}`;
  } catch (error) {
    if (error instanceof EvdbError) return error.message;
    throw error;
  }
}

function connectionOf({ connection, migrationConnection }: Config): ConnectionOptions {
  if (migrationConnection) return migrationConnection.options;
  if (connection.kind === 'server') return connection.options;
  throw new EvdbError('NOT_CONFIGURED', 'no database is configured');
}

async function countCritical(config: Config, signal: AbortSignal | undefined): Promise<number> {
  const { schema, ledgerSchema, doctor } = config;
  const report = await withInspection(
    connectionOf(config),
    (session) => runDoctor(session, { schema, ledgerSchema, ignore: doctor.ignore }),
    { signal, statementTimeoutMs: 1000 },
  );
  return report.counts.critical;
}

async function askQuery(
  query: string,
  config: Config,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const [row] = await withInspection(
    connectionOf(config),
    async (session) => {
      await session.run(`set search_path = ${quoteIdent(config.schema)}, pg_temp`);
      return session.run(query);
    },
    { signal },
  );
  const [value] = Object.values(row ?? {});
  return value === true ? undefined : `the query gives ${JSON.stringify(value ?? null)}, not true`;
}

async function runCommand(
  wave: Wave,
  command: string,
  { fleet, env = process.env, cwd, signal, onOutput }: CheckWaveOptions,
): Promise<string | undefined> {
  const child = spawn(command, {
    ...{ shell: true, cwd, signal },
    env: {
      ...env,
      EVDB_FLEET: fleet,
      EVDB_FLEET_WAVE: String(wave.number),
      EVDB_FLEET_MEMBERS: wave.members.map(({ name }) => name).join('\n'),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => onOutput?.(text));
  }
  const code = await new Promise<number | string | null>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('close', resolve);
  });
  return code === 0 || signal?.aborted ? undefined : `the command ended with ${String(code)}`;
}
