import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EvdbError } from '../errors.ts';
import { cannotWrite, makeFolder } from './create.ts';

export interface InitResult {
  /** Relative to the project folder. */
  created: string[];
  /** What was there already and stays as it was. */
  kept: string[];
}

const PACKAGE_ROOT = fileURLToPath(new URL('../../', import.meta.url));

const CONFIG_FILE = /^(evdb\.config\.\w+|\.evdbrc)$/;

/**
 * Copies the event schema, a config file and `.env.example` into a project. What is there stays.
 *
 * @throws {EvdbError} FILE_EXISTS when the folder holds migrations of its own, FILE_UNREADABLE
 */
export function initProject(projectDir: string): InitResult {
  const source = join(PACKAGE_ROOT, 'migrations');
  const target = join(projectDir, 'migrations');
  const schemaFiles = readdirSync(source).filter((name) => name.endsWith('.sql'));
  refuseForeignMigrations(target, schemaFiles);
  // A second config file would hide the first one, or be hidden by it.
  const config = readdirSync(projectDir).find((name) => CONFIG_FILE.test(name));
  const copies = [
    ...schemaFiles.map((name) => [join(source, name), join('migrations', name)]),
    [join(PACKAGE_ROOT, 'templates', 'evdb.config.js'), config ?? 'evdb.config.mjs'],
    [join(PACKAGE_ROOT, '.env.example'), '.env.example'],
  ] as [from: string, to: string][];
  makeFolder(target);
  const result: InitResult = { created: [], kept: [] };
  for (const [from, to] of copies) {
    const path = join(projectDir, to);
    if (existsSync(path)) result.kept.push(to);
    else {
      copyNew(from, path);
      result.created.push(to);
    }
  }
  return result;
}

function copyNew(from: string, to: string): void {
  try {
    copyFileSync(from, to);
  } catch (cause) {
    throw cannotWrite(to, cause);
  }
}

function refuseForeignMigrations(target: string, schemaFiles: string[]): void {
  if (!existsSync(target)) return;
  const foreign = readdirSync(target).filter(
    (name) => name.endsWith('.sql') && !schemaFiles.includes(name),
  );
  if (foreign.length === 0) return;
  throw new EvdbError(
    'FILE_EXISTS',
    `${target} holds migrations already, such as ${foreign[0]}; the event schema's versions would collide with them`,
    { hint: 'Run `evdb init` in a project without migrations.' },
  );
}
