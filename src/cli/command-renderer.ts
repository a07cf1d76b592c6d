import { readFileSync } from 'node:fs';
import { basename, delimiter, dirname, join, relative, sep } from 'node:path';
import type { Command, Option } from 'commander';
import {
  type CommandRenderer,
  flagWords,
  type PrintedCommand,
  pathWords,
  quoteWord,
  type Shell,
  variableWord,
} from '../text/command-line.ts';
import { maskUrl } from '../text/harmless.ts';
import type { CliContext } from './context.ts';

/** Options that say which database, which schema, which files and which values are meant. */
const TARGET = ['url', 'embedded', 'env', 'config', 'schema', 'migrations-dir', 'set'];

/** Variables that do the same; the first one that is set counts. */
const TARGET_VARIABLES: [flag: string, ...names: string[]][] = [
  ['url', 'EVDB_URL', 'DATABASE_URL'],
  ['env', 'EVDB_ENV'],
  ['config', 'EVDB_CONFIG'],
  ['schema', 'EVDB_SCHEMA'],
  ['migrations-dir', 'EVDB_MIGRATIONS_DIR'],
];

interface GivenFlag {
  /** As it is typed, without the dashes. */
  name: string;
  value: string | undefined;
}

/** What the user typed, as far as evdb knows it; values as they were, not as they were understood. */
export interface Given {
  path: string;
  args: string[];
  flags: GivenFlag[];
  /** What looks like an option and is none of the command's, with the word behind it. */
  unknown: string[];
}

/** What is known of the call, found out when the first command is printed: most runs print none. */
interface Call {
  program: Command;
  env: NodeJS.ProcessEnv;
  launch: Launch;
  given: Given;
  /** What the script of a package manager gives by itself. */
  fixed: Given;
}

/**
 * Writes commands as the user has called evdb, with what they gave.
 *
 * @param build makes the program with all its commands
 */
export function createCommandRenderer(
  build: () => Command,
  args: readonly string[],
  context: CliContext,
): CommandRenderer {
  let call: Call | undefined;
  return (command) => {
    call ??= readCall(build(), args, context);
    return renderCommand(command, call);
  };
}

function readCall(program: Command, args: readonly string[], context: CliContext): Call {
  const launch = findLaunch(args, context);
  const [given, fixed] = [readGiven(program, args), readGiven(program, launch.fixed)];
  return { program, env: context.env, launch, given, fixed };
}

function renderCommand(command: PrintedCommand, call: Call): string {
  const { launch, fixed } = call;
  const path = pathWords(command.path);
  const script = launch.script;
  if (script !== undefined && fits(command, call)) {
    const rest = path.slice(pathWords(fixed.path).length);
    const words = [...rest, ...renderWords(command, call, fixed)];
    const isIntact = script.keepsBackslashes || !words.some((word) => word.includes('\\'));
    if (isIntact) return [script.prefix, ...words].join(' ');
  }
  return [launch.prefix, ...path, ...renderWords(command, call, undefined)].join(' ');
}

/** Whether what the script gives by itself is right for this command too. */
function fits({ path, isAgain, args, flags, without }: PrintedCommand, { given, fixed }: Call) {
  const isSame = isAgain && path === given.path;
  const isOnWay = `${path} `.startsWith(fixed.path === '' ? '' : `${fixed.path} `);
  const isBare = fixed.flags.length === 0 && fixed.args.length === 0;
  const isWanted =
    isSame &&
    (fixed.args.length === 0 || args === undefined) &&
    fixed.flags.every(({ name }) => flags[name] === undefined && !without.includes(name));
  return isOnWay && (isBare || isWanted);
}

/** Everything behind the command's name, quoted. */
function renderWords(command: PrintedCommand, call: Call, fixed: Given | undefined): string[] {
  const { launch, given, env, program } = call;
  const { shell } = launch;
  const isAgain = command.isAgain && command.path === given.path;
  const target = findCommand(program, command.path);
  const kept = given.flags.slice(fixed?.flags.length ?? 0).filter(({ name }) => {
    if (command.without.includes(name) || command.flags[name] !== undefined) return false;
    return isAgain || (TARGET.includes(name) && findOption(target, name) !== undefined);
  });
  const args = command.args ?? (isAgain ? given.args.slice(fixed?.args.length ?? 0) : []);
  const words = args.map((word) => quoteWord(word, shell));
  const flags = [
    ...kept.flatMap((flag) => keptFlag(flag, env, shell)),
    ...flagWords(command.flags).map((word) => quoteWord(word, shell)),
    ...(isAgain && command.flags.confirm === true ? variableFlags(call) : []),
    ...(isAgain ? given.unknown.map((word) => quoteWord(maskUrl(word), shell)) : []),
  ];
  // What looks like an option and is none.
  const isOdd = args.some((word) => word.startsWith('-'));
  return isOdd ? [...flags, '--', ...words] : [...words, ...flags];
}

function keptFlag({ name, value }: GivenFlag, env: NodeJS.ProcessEnv, shell: Shell): string[] {
  if (value === undefined) return [`--${name}`];
  const masked = name === 'url' ? maskUrl(value) : value;
  const variable = masked === value ? undefined : variableOf(value, env);
  const word = variable ? variableWord(variable, shell) : quoteWord(masked, shell);
  return value.startsWith('-') ? [`--${name}=${word}`] : [`--${name}`, word];
}

/** The variable that a secret most likely came from, else one to put it into. */
function variableOf(value: string, env: NodeJS.ProcessEnv): string | undefined {
  const known = ['EVDB_URL', 'DATABASE_URL'];
  const source = [...known, ...Object.keys(env)].find(
    (name) => env[name] === value && /^[A-Za-z_]\w*$/.test(name),
  );
  // One that is not set is refused as empty until somebody sets it; one that is names another target.
  return source ?? known.find((name) => !env[name]);
}

/**
 * A variable may have been set for this one call (`EVDB_URL=… evdb migrate reset`). Consent to
 * losing data therefore names the target that a variable gave: the same words can then not hit
 * another database, because an empty value is refused.
 */
function variableFlags({ launch, given, program, env }: Call): string[] {
  if (launch.script?.setsVariables) return [];
  const command = findCommand(program, given.path);
  const isGiven = (flag: string) =>
    given.flags.some(({ name }) => name === flag || (flag === 'url' && name === 'embedded'));
  return TARGET_VARIABLES.flatMap(([flag, ...names]) => {
    const name = names.find((one) => env[one] !== undefined) ?? '';
    const value = env[name];
    if (!value || isGiven(flag) || findOption(command, flag) === undefined) return [];
    const { shell } = launch;
    return [`--${flag}`, flag === 'url' ? variableWord(name, shell) : quoteWord(value, shell)];
  });
}

/**
 * Takes a command line apart.
 *
 * @param program with all its commands
 */
export function readGiven(program: Command, args: readonly string[]): Given {
  let command = program;
  let at = 0;
  const path: string[] = [];
  const given: Given = { path: '', args: [], flags: [], unknown: [] };
  while (at < args.length) {
    const child = command.commands.find((one) => one.name() === args[at]);
    if (child) {
      command = child;
      path.push(child.name());
      at += 1;
    } else if (given.args.length === 0 && isOutputFlag(args[at] ?? '', command)) {
      // Those for all commands may stand in front of the command too.
      at += takeWord(args.slice(at), command, given);
    } else break;
  }
  given.path = path.join(' ');
  while (at < args.length) at += takeWord(args.slice(at), command, given);
  return given;
}

function isOutputFlag(word: string, command: Command): boolean {
  return command.commands.length > 0 && findGiven(command, word) !== undefined;
}

/** Takes an option or an argument from the front, and gives how many words that were. */
function takeWord([word = '', next, ...rest]: string[], command: Command, given: Given): number {
  if (word === '--') {
    const behind = next === undefined ? [] : [next, ...rest];
    given.args.push(...behind);
    return 1 + behind.length;
  }
  if (!word.startsWith('-') || word === '-') {
    given.args.push(word);
    return 1;
  }
  const [, , , value] = LONG.exec(word) ?? [];
  const option = findGiven(command, word);
  if (!option) {
    const isPair = value === undefined && next !== undefined && !next.startsWith('-');
    given.unknown.push(word, ...(isPair ? [next] : []));
    return isPair ? 2 : 1;
  }
  const name = (option.long ?? '').slice('--'.length);
  const takesNext =
    value === undefined &&
    next !== undefined &&
    (option.required || (option.optional && !next.startsWith('-')));
  given.flags.push({ name, value: takesNext ? next : value });
  return takesNext ? 2 : 1;
}

function findCommand(program: Command, path: string): Command | undefined {
  return pathWords(path).reduce<Command | undefined>(
    (command, name) => command?.commands.find((one) => one.name() === name),
    program,
  );
}

const LONG = /^--([^=]+)(=([\s\S]*))?$/;

/** The option that a word of the command line gives. */
function findGiven(command: Command, word: string): Option | undefined {
  const [, name] = LONG.exec(word) ?? [];
  if (name !== undefined) return findOption(command, name);
  return command.options.find(({ short }) => short === word);
}

function findOption(command: Command | undefined, name: string): Option | undefined {
  return command?.options.find(({ long }) => long === `--${name}`);
}

/** How evdb was called: what stands in front of its own words, where that can be typed again. */
interface Launch {
  shell: Shell;
  /** Quoted, such as `evdb` or `npx evdb`. */
  prefix: string;
  /** Words that a script gives before those of the user, such as `migrate`. */
  fixed: string[];
  /** Where a script of package.json called it, and can again. */
  script: LaunchScript | undefined;
}

interface LaunchScript {
  /** Quoted, such as `npm run migrate --`. */
  prefix: string;
  /** Whether it may set variables that the shell does not have. */
  setsVariables: boolean;
  /** pnpm doubles backslashes on their way. */
  keepsBackslashes: boolean;
}

type Manager = 'npm' | 'pnpm' | 'yarn' | 'bun';

const EXEC: Record<Manager, string> = {
  npm: 'npx evdb',
  pnpm: 'pnpm exec evdb',
  yarn: 'yarn run evdb',
  bun: 'bunx evdb',
};

/** Finds out how evdb was called, from what package managers tell and from the path of the program. */
function findLaunch(args: readonly string[], context: CliContext): Launch {
  const { env } = context;
  const shell = findShell(context);
  const manager = findManager(env);
  const call = plainCall(manager, context, shell);
  const prefix = inFolder(call, context, { shell, manager, isScript: false });
  const direct: Launch = { shell, prefix, fixed: [], script: undefined };
  const name = env.npm_lifecycle_event;
  if (manager === undefined || name === undefined || env.npm_command === 'exec') return direct;
  const text = readScript(name, context);
  const fixed = text === undefined ? undefined : fixedWords(text, args);
  if (text === undefined || fixed === undefined) return direct;
  const dashes = manager === 'npm' ? ' --' : '';
  const run = `${manager} run ${quoteWord(name, shell)}${dashes}`;
  const script = {
    prefix: inFolder(run, context, { shell, manager, isScript: true }),
    setsVariables: !/^evdb\b/.test(text.trim()),
    keepsBackslashes: manager !== 'pnpm',
  };
  return { ...direct, fixed, script };
}

function findShell({ env, platform }: CliContext): Shell {
  if (platform !== 'win32' || env.SHELL || env.MSYSTEM) return 'posix';
  // PowerShell adds the user's own folders to those of the machine.
  return (env.PSModulePath ?? '').split(';').length >= 3 ? 'powershell' : 'cmd';
}

/** Whoever runs evdb under one of them leaves its name and version here. */
function findManager(env: NodeJS.ProcessEnv): Manager | undefined {
  const [name] = (env.npm_config_user_agent ?? '').split('/');
  const isKnown = name !== undefined && Object.hasOwn(EXEC, name);
  if (isKnown) return name as Manager;
  return env.npm_lifecycle_event === undefined && env.npm_command === undefined ? undefined : 'npm';
}

function plainCall(
  manager: Manager | undefined,
  { env, cwd, programPath }: CliContext,
  shell: Shell,
): string {
  const path = programPath.split(sep).join('/');
  if (/\/_npx\/[^/]+\//.test(path)) return fetchedByNpx(programPath, shell);
  if (manager && /\/dlx[-/]/.test(path)) return `${manager} dlx evdb`;
  if (manager) return EXEC[manager];
  const folder = dirname(programPath);
  const isCommand = /^evdb(\.cmd|\.ps1|\.exe)?$/i.test(basename(programPath));
  if (isCommand && (env.PATH ?? env.Path ?? '').split(delimiter).includes(folder)) return 'evdb';
  // Called by its path there; npx finds it from every folder of the project.
  if (path.includes('/node_modules/.bin/') || programPath === '') return 'npx evdb';
  const way = relative(cwd, programPath);
  const shorter = way.length < programPath.length ? way : programPath;
  if (!isCommand) return `node ${quoteWord(shorter, shell)}`;
  return quoteWord(shorter.includes(sep) ? shorter : `.${sep}${shorter}`, shell);
}

/** Without the package's own words npx would fetch another version. */
function fetchedByNpx(programPath: string, shell: Shell): string {
  const [folder = ''] = /^.*?[\\/]_npx[\\/][^\\/]+/.exec(programPath) ?? [];
  const [spec = 'evdb'] =
    readJson<{ _npx?: { packages?: string[] } }>(folder)?._npx?.packages ?? [];
  if (/^evdb(@|$)/.test(spec)) return `npx ${quoteWord(spec, shell)}`;
  return `npx --package ${quoteWord(spec, shell)} -- evdb`;
}

/** A manager may have been told to work in another folder than the one it was called in. */
function inFolder(
  call: string,
  { env, cwd }: CliContext,
  { shell, manager, isScript }: { shell: Shell; manager: Manager | undefined; isScript: boolean },
): string {
  const from = env.INIT_CWD;
  if (manager === undefined || from === undefined || from === cwd) return call;
  // Scripts are found from every folder below.
  if (isScript && !relative(cwd, from).startsWith('..')) return call;
  return `cd ${quoteWord(relative(from, cwd), shell)} && ${call}`;
}

/** What package.json says: pnpm's variable holds the user's words too. */
function readScript(name: string, { env, cwd }: CliContext): string | undefined {
  const folder = env.npm_package_json ? dirname(env.npm_package_json) : cwd;
  const script = readJson<{ scripts?: Record<string, unknown> }>(folder)?.scripts?.[name];
  return typeof script === 'string' ? script : undefined;
}

function readJson<T>(folder: string): T | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/**
 * The words that a script gives to evdb itself, where words behind the script's name reach evdb:
 * it has to be the last command there, with words that no shell changes.
 */
function fixedWords(script: string, args: readonly string[]): string[] | undefined {
  const [, tail] = /(?:^|[\s/"'])evdb(?:\.js)?["']?((?:\s+[\w@%+=:,./-]+)*)\s*$/.exec(script) ?? [];
  if (tail === undefined) return undefined;
  const fixed = tail.trim() === '' ? [] : tail.trim().split(/\s+/);
  return fixed.every((word, i) => args[i] === word) ? fixed : undefined;
}
