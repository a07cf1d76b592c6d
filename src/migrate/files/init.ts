import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { packagePath, readToolVersion, writeFileWhole } from '../../file-system.ts';
import { cannotWrite, makeFolder } from './create.ts';
import { STRUCTURE_FILE } from './source.ts';

/** What to add to a project in addition to a config file and `.env.example`. */
export interface InitOptions {
  /** Leaves the event schema out; default false. */
  empty?: boolean | undefined;
  /** Adds scripts that call evdb to `package.json`, if it exists; default false. */
  npmScripts?: boolean | undefined;
  /** The language of the config file; default `js`, as `evdb.config.mjs`. */
  configFormat?: ConfigFormat | undefined;
  /** Writes a pipeline that checks the migrations; default none. */
  pipeline?: 'github' | 'gitlab' | undefined;
}

/** `ts` needs Node 22.18 or later; `json` and `yaml` name the JSON schema for editors. */
export type ConfigFormat = 'js' | 'ts' | 'json' | 'yaml';

/** What `initProject` wrote and what it left, by paths relative to the project. */
export interface InitProjectResult {
  created: string[];
  /** Existing files that were extended: `package.json`, `.gitignore`. */
  changed: string[];
  /** Existing files that were not changed. */
  kept: string[];
  /**
   * What became of the event schema: `copied`, `leftOut` on request, or `notCopied` because the
   * folder already has migrations, of evdb or of another tool, that it would be mixed with.
   */
  eventSchema: 'copied' | 'leftOut' | 'notCopied';
}

const CONFIG_FILE = /^(evdb\.config\.\w+|\.evdbrc)$/;

interface NewFile {
  to: string;
  content: string | Uint8Array;
}

/**
 * Sets a project up: a config file and `.env.example`, the event schema unless it is left out, and
 * whatever else is requested. Existing files are not changed. If the project has its own
 * migrations, the event schema is left out.
 *
 * @param projectDir absolute path of an existing folder
 * @throws {EvdbError} FILE_UNREADABLE if a file cannot be written, or `package.json` is not JSON
 * @example initProject(process.cwd(), { empty: true }).created // ['evdb.config.mjs', '.env.example']
 */
export function initProject(projectDir: string, options: InitOptions = {}): InitProjectResult {
  const scripts = options.npmScripts ? addScripts(projectDir) : undefined;
  makeFolder(join(projectDir, 'migrations'));
  const eventSchema = options.empty
    ? 'leftOut'
    : holdsOwnMigrations(projectDir)
      ? 'notCopied'
      : 'copied';
  const config = configFile(projectDir, options.configFormat);
  const ignored = ignoreSecrets(projectDir);
  // All is read before the first is written: half a project would be worse than none.
  const files = [
    ...(eventSchema === 'copied' ? listSchemaFiles() : []).map((name) =>
      fromPackage(join('migrations', name), join('migrations', name)),
    ),
    config,
    envExample(config.to),
    // git keeps no empty folder, and a pipeline looks for this one.
    ...(eventSchema === 'leftOut' && readdirSync(join(projectDir, 'migrations')).length === 0
      ? [{ to: join('migrations', '.gitkeep'), content: '' }]
      : []),
    ...pipelineFile(projectDir, options),
  ];
  const result: InitProjectResult = { created: [], changed: [], kept: [], eventSchema };
  for (const { to, content } of files) {
    const isNew = writeMissing(join(projectDir, to), content);
    (isNew ? result.created : result.kept).push(to);
  }
  if (ignored !== undefined) {
    const isNew = !existsSync(join(projectDir, GITIGNORE));
    writeChecked(join(projectDir, GITIGNORE), ignored);
    (isNew ? result.created : result.changed).push(GITIGNORE);
  }
  if (scripts !== undefined) {
    writeChecked(join(projectDir, PACKAGE_FILE), scripts);
    result.changed.push(PACKAGE_FILE);
  }
  return result;
}

/**
 * Whether `migrations/` contains files or folders other than the event schema's: another tool's
 * migrations need not be SQL. Hidden files and notes (`.md`) do not count.
 *
 * @param projectDir absolute path
 * @example
 * const options = { empty: holdsOwnMigrations(process.cwd()) };
 */
export function holdsOwnMigrations(projectDir: string): boolean {
  const target = join(projectDir, 'migrations');
  const schemaFiles = listSchemaFiles();
  return (
    existsSync(target) &&
    readdirSync(target).some(
      (name) => !/^\.|\.md$/i.test(name) && name !== STRUCTURE_FILE && !schemaFiles.includes(name),
    )
  );
}

function listSchemaFiles(): string[] {
  return readdirSync(packagePath('migrations'))
    .filter((name) => /^\d+_.*\.sql$/.test(name))
    .sort();
}

function fromPackage(from: string, to: string): NewFile {
  return { to, content: readFileSync(packagePath(from)) };
}

/** A second config file would hide the first one, or be hidden by it. */
function findConfig(projectDir: string): string | undefined {
  return readdirSync(projectDir).find((name) => CONFIG_FILE.test(name));
}

/** A module by its name: what `package.json` says of the others nobody has to change. */
const CONFIG_NAMES = {
  js: 'evdb.config.mjs',
  ts: 'evdb.config.mts',
  json: 'evdb.config.json',
  yaml: 'evdb.config.yaml',
} as const;

function configFile(projectDir: string, format: ConfigFormat = 'js'): NewFile {
  const to = findConfig(projectDir) ?? CONFIG_NAMES[format];
  if (format !== 'ts') return fromPackage(join('templates', `evdb.config.${format}`), to);
  const text = readFileSync(packagePath('templates', 'evdb.config.js'), 'utf8');
  // Types alone, which Node takes away: evdb need not be installed in the project.
  const typed = text
    .replace(/^\/\*\* @type .*\n/m, '')
    .replace('export default {', "import type { ConfigFileInput } from 'evdb';\n\nexport default {")
    .replace(/\};\n$/, '} satisfies ConfigFileInput;\n');
  return { to, content: typed };
}

function envExample(config: string): NewFile {
  const text = readFileSync(packagePath('templates', 'env.example'), 'utf8');
  return { to: '.env.example', content: text.replace('evdb.config.js', config) };
}

const GITIGNORE = '.gitignore';

/** The text of `.gitignore` with `.env`; undefined outside of git, or where it is ignored already. */
function ignoreSecrets(projectDir: string): string | undefined {
  for (let folder = projectDir; ; folder = dirname(folder)) {
    if (/^(\/|\*\*\/)?(\.env\*?|\*\.env)\s*$/m.test(readIfThere(join(folder, GITIGNORE))))
      return undefined;
    if (existsSync(join(folder, '.git'))) break;
    if (dirname(folder) === folder) return undefined;
  }
  const text = readIfThere(join(projectDir, GITIGNORE));
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}.env\n`;
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** GitLab reads one file only: beside that of the project ours is one to include. */
function pipelineFile(projectDir: string, { pipeline }: InitOptions): NewFile[] {
  if (pipeline === undefined) return [];
  const template = pipeline === 'github' ? 'github-workflow.yml' : 'gitlab-ci.yml';
  const text = readFileSync(packagePath('templates', template), 'utf8');
  const content = dependsOnEvdb(projectDir)
    ? text.replaceAll('npx --yes evdb@{{version}}', 'npx evdb')
    : text.replace(/^.*npm ci\n/m, '').replaceAll('{{version}}', readToolVersion());
  const isTaken = existsSync(join(projectDir, '.gitlab-ci.yml'));
  const gitlab = isTaken ? GITLAB_INCLUDED : '.gitlab-ci.yml';
  return [{ to: pipeline === 'github' ? '.github/workflows/migrations.yml' : gitlab, content }];
}

/** Whether `npm ci` installs evdb: npm's lock file names it too. */
function dependsOnEvdb(projectDir: string): boolean {
  if (!existsSync(join(projectDir, 'package-lock.json'))) return false;
  try {
    const found = JSON.parse(readIfThere(join(projectDir, PACKAGE_FILE)));
    return [found.dependencies, found.devDependencies].some((some) => some?.evdb !== undefined);
  } catch {
    return false;
  }
}

/** Where the pipeline goes that `.gitlab-ci.yml` has to include. */
const GITLAB_INCLUDED = '.gitlab/migrations.gitlab-ci.yml';

const PACKAGE_FILE = 'package.json';

/** The text of `package.json` with our scripts; undefined where there is none, or nothing to add. */
function addScripts(projectDir: string): string | undefined {
  const path = join(projectDir, PACKAGE_FILE);
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8');
  let found: { scripts?: Record<string, string> };
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new EvdbError('FILE_UNREADABLE', `${path} is not valid JSON`, {
      hint: 'Nothing was written. Correct it, or leave the scripts out.',
      cause,
    });
  }
  const ours = JSON.parse(readFileSync(packagePath('templates', 'scripts.json'), 'utf8'));
  const scripts: Record<string, string> = { ...ours, ...found.scripts };
  if (Object.keys(scripts).length === Object.keys(found.scripts ?? {}).length) return undefined;
  // Those that were there first, in their order.
  const merged = { ...found, scripts: { ...found.scripts, ...scripts } };
  const indent = /^[\t ]+/m.exec(text)?.[0] ?? '  ';
  const end = text.endsWith('\n') ? '\n' : '';
  return JSON.stringify(merged, null, indent) + end;
}

/** Whether the file was written; false where one is there already. */
function writeMissing(path: string, content: string | Uint8Array): boolean {
  if (existsSync(path)) return false;
  makeFolder(dirname(path));
  writeChecked(path, content, { isNew: true });
  return true;
}

function writeChecked(path: string, content: string | Uint8Array, how = { isNew: false }): void {
  try {
    writeFileWhole(path, content, how);
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}
