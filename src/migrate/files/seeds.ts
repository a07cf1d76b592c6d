import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { EvdbError } from '../../errors.ts';
import { refuseMigrationDirectives } from './directives.ts';
import { readScript, type Script } from './source.ts';
import { displayPath } from './version.ts';

/** A file with data for a database. */
export interface SeedFile {
  /** What the history knows it by: its place in the folder, such as `production/010_plans.sql`. */
  name: string;
  path: string;
}

/**
 * Lists the seeds of a folder: those for every environment, then those of one, each in the order of their
 * names.
 *
 * @throws {EvdbError} SEEDS_MISSING where there is none
 */
export function listSeeds(directory: string, environment: string | undefined): SeedFile[] {
  const own = environment === undefined || /[/\\]/.test(environment) ? [] : [environment];
  const seeds = ['', ...own].flatMap((folder) =>
    readNames(join(directory, folder)).map((fileName) => ({
      name: folder === '' ? fileName : `${folder}/${fileName}`,
      path: join(directory, folder, fileName),
    })),
  );
  if (seeds.length > 0) return seeds;
  throw new EvdbError('SEEDS_MISSING', `the folder ${displayPath(directory)} holds no seed`, {
    hint: `Write one as ${displayPath(join(directory, '010_plans.sql'))}, or name the folder with --seeds-dir.`,
    details: { directory },
  });
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^[^.].*\.sql$/i.test(name))
      .sort();
  } catch {
    return [];
  }
}

/**
 * Reads a seed, which is applied whole in one transaction.
 *
 * @throws {EvdbError} DIRECTIVE_INVALID for what is for migrations alone, and those of `readScript`
 */
export function readSeed({ path }: SeedFile): { script: Script; isOnce: boolean } {
  const script = readScript(path);
  const { isOnce = false, ...directives } = script.directives;
  refuseMigrationDirectives(script, {
    hint: 'A seed is applied whole, in one transaction, whenever it is asked for. Remove the line, or write a migration.',
  });
  return { script: { ...script, directives }, isOnce };
}
