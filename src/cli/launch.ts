import { readFileSync } from 'node:fs';
import { basename, delimiter, dirname, join, relative, sep } from 'node:path';
import { quoteWord, type Shell } from '../text/command-line.ts';
import type { CliContext } from './context.ts';

/** How evdb was called: what stands in front of its own words, where that can be typed again. */
export interface Launch {
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
export function findLaunch(args: readonly string[], context: CliContext): Launch {
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
