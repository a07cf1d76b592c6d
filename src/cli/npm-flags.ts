import type { Command, Option } from 'commander';
import { EvdbError } from '../errors.ts';

type Env = NodeJS.ProcessEnv;

/** npm hands these over as they were meant. */
const HONOURED = new Set(['confirm', 'dry-run', 'json']);

/** npm takes `--to` for the start of a setting of its own, and `--verbose` for its log level. */
const TAKEN_FOR: Record<string, string> = {
  npm_config_token_description: 'to',
  npm_config_loglevel: 'verbose',
};

/**
 * The flags of a command. Under `npm run` npm keeps flags to itself unless they follow a `--`:
 * what it hands over unchanged is honoured, anything else it swallowed is refused, also a flag of
 * another command: `up --dryrun` and `reset --dry-run` must never run for real, and `up --to 3`
 * never to the end.
 *
 * @throws {EvdbError} USAGE
 */
export function readNpmFlags(command: Command, env: Env): Record<string, unknown> {
  const flags: Record<string, unknown> = command.opts();
  if (!isRunByNpm(env)) return flags;
  // The command's own come last, so that they win.
  const options = [...listOptions(rootOf(command)), ...command.options];
  const known = new Map(options.map((option) => [fold(longName(option)), option]));
  for (const [variable, value = ''] of Object.entries(env)) {
    const option = findOption(variable, value, known);
    if (!option || command.getOptionValueSource(option.attributeName()) === 'cli') continue;
    const name = longName(option);
    const isHonoured = HONOURED.has(name) && command.options.includes(option);
    if (!isHonoured || value !== 'true' || variable !== npmVariable(name)) {
      throw swallowed(option.long ?? '', env);
    }
    flags[option.attributeName()] = true;
  }
  return flags;
}

export function isRunByNpm(env: Env): boolean {
  return env.npm_lifecycle_event !== undefined;
}

export function isJsonByNpm(env: Env): boolean {
  return isRunByNpm(env) && env.npm_config_json === 'true';
}

/** What to type so that flags arrive, such as `npm run migrate --`. */
export function npmWithDashes(env: Env): string {
  return env.npm_command === 'exec' ? 'npm exec -- evdb' : `npm run ${env.npm_lifecycle_event} --`;
}

function findOption(
  variable: string,
  value: string,
  known: Map<string, Option>,
): Option | undefined {
  if (!variable.startsWith('npm_config_')) return undefined;
  // The answer to a question of npx: whether it may download. What it stands for here is asked again.
  if (variable === 'npm_config_yes') return undefined;
  // Most likely from .npmrc; npm passes it on by the variables that evdb follows.
  if (variable === 'npm_config_color') return undefined;
  // Another log level says nothing about our flag.
  if (variable === 'npm_config_loglevel' && value !== 'verbose') return undefined;
  const name = TAKEN_FOR[variable] ?? variable.slice('npm_config_'.length);
  const option = known.get(fold(name));
  // npm passes "no" as the empty string; for these that is as good as not given.
  const isNo = (value === '' || value === 'false') && option && HONOURED.has(longName(option));
  return isNo ? undefined : option;
}

/** `--dryrun` and `--dry_run` are attempts at `--dry-run`. */
function fold(name: string): string {
  return name.replace(/[-_]/g, '');
}

function longName({ long }: Option): string {
  return (long ?? '').replace(/^--(no-)?/, '');
}

function npmVariable(name: string): string {
  return `npm_config_${name.replaceAll('-', '_')}`;
}

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command;
}

/** Of all commands below; not those of evdb itself, which run nothing. */
function listOptions(command: Command): Option[] {
  return command.commands.flatMap((child) => [...child.options, ...listOptions(child)]);
}

function swallowed(flag: string, env: Env): EvdbError {
  return new EvdbError('USAGE', `npm took ${flag} for itself, so evdb did not get it`, {
    hint: `Nothing was done. Put two dashes in between: ${npmWithDashes(env)} … ${flag} …`,
  });
}
