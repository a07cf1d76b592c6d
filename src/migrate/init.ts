import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packagePath, writeFileWhole } from '../file-system.ts';
import { cannotWrite, makeFolder } from './create.ts';

export interface InitOptions {
  /** Leaves the event schema out; default false. */
  empty?: boolean;
}

export interface InitResult {
  /** Relative to the project folder. */
  created: string[];
  /** What was there already and stays as it was. */
  kept: string[];
  /**
   * What became of the event schema: `copied`, `leftOut` as asked, or `notCopied` because the
   * folder holds migrations of its own, whose versions would collide with it.
   */
  eventSchema: 'copied' | 'leftOut' | 'notCopied';
}

const CONFIG_FILE = /^(evdb\.config\.\w+|\.evdbrc)$/;

/**
 * Copies the event schema, a config file and `.env.example` into a project. What is there stays.
 * Beside migrations of the project's own only the last two are written.
 *
 * @param projectDir absolute path of a folder that exists
 * @throws {EvdbError} FILE_UNREADABLE when a file cannot be written
 * @example initProject(process.cwd(), { empty: true }).created // ['evdb.config.mjs', '.env.example']
 */
export function initProject(projectDir: string, { empty = false }: InitOptions = {}): InitResult {
  const target = join(projectDir, 'migrations');
  makeFolder(target);
  const schemaFiles = listSchemaFiles();
  const eventSchema = empty
    ? 'leftOut'
    : holdsForeignMigrations(target, schemaFiles)
      ? 'notCopied'
      : 'copied';
  // A second config file would hide the first one, or be hidden by it.
  const config = readdirSync(projectDir).find((name) => CONFIG_FILE.test(name));
  const copies: [from: string, to: string][] = [
    ...(eventSchema === 'copied' ? schemaFiles : []).map((name): [string, string] => [
      join('migrations', name),
      join('migrations', name),
    ]),
    [join('templates', 'evdb.config.js'), config ?? 'evdb.config.mjs'],
    [join('templates', 'env.example'), '.env.example'],
  ];
  // All is read before the first is written: half a project would be worse than none.
  const files = copies.map(([from, to]) => ({
    to,
    content: readFileSync(packagePath(from)),
  }));
  const result: InitResult = { created: [], kept: [], eventSchema };
  for (const { to, content } of files) {
    const isNew = writeNew(join(projectDir, to), content);
    (isNew ? result.created : result.kept).push(to);
  }
  return result;
}

function listSchemaFiles(): string[] {
  return readdirSync(packagePath('migrations'))
    .filter((name) => /^\d+_.*\.sql$/.test(name))
    .sort();
}

/** Whether the file was written; false where one is there already. */
function writeNew(path: string, content: Uint8Array): boolean {
  if (existsSync(path)) return false;
  try {
    writeFileWhole(path, content, { isNew: true });
    return true;
  } catch (cause) {
    throw cannotWrite(path, cause);
  }
}

function holdsForeignMigrations(target: string, schemaFiles: string[]): boolean {
  return readdirSync(target).some((name) => name.endsWith('.sql') && !schemaFiles.includes(name));
}
