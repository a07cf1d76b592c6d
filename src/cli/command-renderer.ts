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
import { findLaunch, type Launch } from './launch.ts';

/** Options that say which database, which schema and which files are meant. */
const TARGET = ['url', 'embedded', 'env', 'config', 'schema', 'migrations-dir'];

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
interface Given {
  path: string;
  args: string[];
  flags: GivenFlag[];
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

/** Writes commands as the user has called evdb, with what they gave. */
export function createCommandRenderer(
  program: Command,
  args: readonly string[],
  context: CliContext,
): CommandRenderer {
  let call: Call | undefined;
  return (command) => {
    call ??= readCall(program, args, context);
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

/** The variable that a secret most likely came from. */
function variableOf(value: string, env: NodeJS.ProcessEnv): string | undefined {
  const names = ['EVDB_URL', 'DATABASE_URL', ...Object.keys(env)];
  return names.find((name) => env[name] === value && /^[A-Za-z_]\w*$/.test(name));
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

function readGiven(program: Command, args: readonly string[]): Given {
  let command = program;
  let at = 0;
  for (; at < args.length; at += 1) {
    const child = command.commands.find((one) => one.name() === args[at]);
    if (!child) break;
    command = child;
  }
  const given: Given = { path: args.slice(0, at).join(' '), args: [], flags: [] };
  while (at < args.length) at += takeWord(args.slice(at), command, given);
  return given;
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
  const [, name = '', , value] = /^--([^=]+)(=([\s\S]*))?$/.exec(word) ?? [];
  const option = findOption(command, name);
  if (!option) return 1;
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

function findOption(command: Command | undefined, name: string): Option | undefined {
  return command?.options.find(({ long }) => long === `--${name}`);
}
