import type { Command } from 'commander';
import { sameCommand, withCommandRenderer } from '../text/command-line.ts';
import { createCommandRenderer, type Given, readGiven } from './command-renderer.ts';
import { ADOPTABLE_TOOLS } from './commands/migrate.ts';
import type { CliContext } from './context.ts';

/** The groups whose commands other tools have too, by what they, and habit, call them. */
const GROUPS: Record<string, string> = {
  migrate: 'migrate',
  migration: 'migrate',
  migrations: 'migrate',
  db: 'db',
  database: 'db',
  schema: 'schema',
};

/**
 * What other tools, and habit, call a command: dbmate, Flyway, knex, node-pg-migrate, Prisma, Atlas,
 * goose, golang-migrate, sqlx, TypeORM, Liquibase and Rails. Counts as the first word and behind a group,
 * unless the two words together stand here.
 */
export const COMMANDS: Record<string, string> = {
  ...named('migrate up', 'latest run apply deploy update upgrade migrate push goto to up-to'),
  ...named('migrate up --steps 1', 'up-by-one next'),
  ...named('migrate up --watch', 'dev watch'),
  ...named('migrate down', 'rollback revert undo downgrade down-to back'),
  ...named('migrate reset', 'fresh refresh clean'),
  ...named('migrate create', 'new make add generate gen revision makemigrations make:migration'),
  ...named('migrate status', 'status info list ls show showmigrations pending history'),
  ...named('migrate status', 'version current currentVersion'),
  ...named('migrate status --drift', 'drift'),
  ...named('migrate validate', 'check verify'),
  ...named('migrate repair', 'force resolve'),
  ...named('migrate baseline', 'stamp'),
  ...named('migrate adopt', 'import convert'),
  ...named('migrate plan', 'preview dry-run'),
  ...named('schema dump', 'inspect pull print-schema'),
  ...named('lint', 'lint'),
  ...named('types', 'codegen typegen'),
  ...named('doctor', 'health healthcheck'),
  ...named('stats activity', 'ps sessions'),
  ...named('stats queries', 'top slow'),
  ...named('stats tables', 'bloat'),
  ...named('db sizes', 'size'),
  'migrate drop': 'migrate reset',
  'migrate test': 'migrate validate --shadow',
};

function named(command: string, words: string): Record<string, string> {
  return Object.fromEntries(words.split(' ').map((word) => [word, command]));
}

/** Commands that a version is given to with `--to`; people of other tools give it as it is. */
const TO_VERSION: Record<string, string> = {
  'migrate up': 'A version is given with --to',
  'migrate plan': 'A version is given with --to',
  'migrate down': '--to names the version that stays as the last one',
};

/** Who gives so small a number may mean that many migrations. */
const FEW = /^[1-9]\d?$/;

/** What was most likely meant. */
interface Meant {
  /** The word that evdb does not know; undefined where only the arguments are wrong. */
  word: string | undefined;
  hint: string;
}

/**
 * Explains a command line that evdb does not know and that is known from elsewhere: the command that was
 * most likely meant, with all that was given. It is told and not run, because what it does may differ.
 *
 * @param program with all its commands
 * @returns undefined where nobody can tell what was meant
 */
export function explainMeant(
  args: readonly string[],
  program: Command,
  context: CliContext,
): Meant | undefined {
  const asked = withHelpAsFlag(args);
  const translated = translate(asked, program);
  const words = translated?.words ?? asked;
  const given = readGiven(program, words);
  const render = createCommandRenderer(() => program, words, context);
  return withCommandRenderer(render, () => {
    const word = translated?.word;
    const surplus = hintAtSurplus(given);
    if (surplus !== undefined) return { word, hint: surplus };
    return translated && { word, hint: `In evdb this is: ${sameCommand(given.path)}` };
  });
}

/** `up --help` for `help up`, which leaves the words that name a command in front. */
function withHelpAsFlag(args: readonly string[]): readonly string[] {
  return args[0] === 'help' ? [...args.slice(1), '--help'] : args;
}

/** The command line in the words of evdb; undefined where they are that already, or nobody knows them. */
function translate(
  args: readonly string[],
  program: Command,
): { word: string; words: string[] } | undefined {
  const places = args.flatMap((word, at) => (word.startsWith('-') ? [] : [at]));
  const [first, second] = places;
  if (first === undefined) return undefined;
  // knex and Rails write `migrate:latest`.
  const typed = args[first] ?? '';
  const [name = '', ...parts] = own(typed) === undefined ? typed.split(':') : [typed];
  const group = Object.hasOwn(GROUPS, name) ? GROUPS[name] : undefined;
  const isOneWord = parts.length > 0 || group === undefined;
  const last = isOneWord ? first : second;
  if (last === undefined) return undefined;
  const verb = isOneWord ? (parts[0] ?? name) : (args[last] ?? '');
  const meant = findCommand(group, verb, program);
  const isSame = meant === (isOneWord ? typed : `${name} ${verb}`);
  if (meant === undefined || isSame) return undefined;
  const words = [...args.slice(0, first), ...args.slice(first + 1, last), ...args.slice(last + 1)];
  const word = isOneWord || group !== name ? typed : verb;
  return { word, words: [...meant.split(' '), ...words] };
}

function findCommand(
  group: string | undefined,
  verb: string,
  program: Command,
): string | undefined {
  const path = `${group} ${verb}`;
  if (group !== undefined && hasCommand(program, path)) return path;
  if (group === undefined && program.commands.some((one) => one.name() === verb)) return undefined;
  const home = program.commands.find((one) => hasCommand(program, `${one.name()} ${verb}`));
  return own(path) ?? own(verb) ?? (home && `${home.name()} ${verb}`);
}

function own(words: string): string | undefined {
  return Object.hasOwn(COMMANDS, words) ? COMMANDS[words] : undefined;
}

function hasCommand(program: Command, path: string): boolean {
  const [group, name] = path.split(' ');
  const parent = program.commands.find((one) => one.name() === group);
  return parent?.commands.some((one) => one.name() === name) === true;
}

/** Of arguments that a command does not take, but one of its options does. */
function hintAtSurplus({ path, args, flags }: Given): string | undefined {
  if (path === 'migrate create' && args.length > 1) {
    return `Put the name into quotes: ${sameCommand(path, {}, { args: [args.join(' ')] })}`;
  }
  const says = TO_VERSION[path];
  const [word = '', ...others] = args;
  if (path === 'migrate adopt' && others.length === 0) return hintAtSource(word, flags);
  // Some give the name of the file.
  const [, version] = /^(\d+)(?:_.*)?$/.exec(word) ?? [];
  if (says === undefined || others.length > 0 || version === undefined) return undefined;
  const line = sameCommand(path, { to: version }, { args: [] });
  if (!FEW.test(version)) return `${says}: ${line}`;
  const few = sameCommand(path, { steps: version }, { args: [], without: ['to'] });
  return `${says}: ${line}. For a number of migrations: ${few}`;
}

/** Of what is adopted: a tool, or the folder of one. */
function hintAtSource(word: string, flags: Given['flags']): string {
  const tool = ADOPTABLE_TOOLS.find((one) => one === word.toLowerCase());
  const isSaid = flags.some(({ name }) => name === 'from');
  if (tool !== undefined && !isSaid) {
    return `The tool is given with --from: ${sameCommand('migrate adopt', { from: tool }, { args: [] })}`;
  }
  const line = sameCommand('migrate adopt', { 'from-dir': word }, { args: [] });
  const tools = isSaid ? '' : `. The tool is given with --from: ${ADOPTABLE_TOOLS.join(', ')}`;
  return `The other tool's folder is given with --from-dir: ${line}${tools}`;
}
