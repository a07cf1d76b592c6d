import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import {
  type AdoptableTool,
  type AdoptionResult,
  type AdoptOptions,
  adoptMigrations,
  readStatus,
} from '../../src/index.ts';
import { test as base, type MigrateStage } from '../support/migrate-kit.ts';

/** A project and a database that another tool has migrated. */
export interface AdoptStage extends MigrateStage {
  dir: string;
  /** Writes a file of the project. */
  write(path: string, text: string | Uint8Array): Promise<string>;
  adopt(from: AdoptableTool, more?: Partial<AdoptOptions>): Promise<AdoptionResult>;
  /** The options of `adopt`. */
  adoptOptions(from: AdoptableTool, more?: Partial<AdoptOptions>): AdoptOptions;
  /** The files of evdb's folder, by name. */
  files(): Promise<Record<string, string>>;
  /** Labels with their states, such as `001 applied`. */
  states(): Promise<string[]>;
  /** All objects and rows of the database but those of evdb's ledger. */
  contents(): Promise<string[]>;
}

/** `test` with a stage whose evdb writes to `db/evdb`, which no tool uses. */
export const test = base.extend<{ $test: { adoption: AdoptStage } }>({
  adoption: async ({ stage, project }, use) => {
    const directory = join(project.dir, 'db/evdb');
    const options = { ...stage.options, directory };
    const adoptOptions: AdoptStage['adoptOptions'] = (from, more) => ({
      ...options,
      from,
      root: project.dir,
      ...more,
    });
    await use({
      ...stage,
      options,
      dir: project.dir,
      write: project.write,
      adoptOptions,
      adopt: (from, more) => adoptMigrations(adoptOptions(from, more)),
      files: () => readFolder(directory),
      states: async () =>
        (await readStatus(options)).migrations.map(({ label, state }) => `${label} ${state}`),
      contents: () => readContents(stage.sql),
    });
  },
});

async function readFolder(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const texts = await Promise.all(
    names.sort().map((name) => readFile(join(directory, name), 'utf8')),
  );
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? '']));
}

async function readContents(sql: postgres.Sql): Promise<string[]> {
  const relations = await sql<{ name: string; isTable: boolean }[]>`
    select format('%I.%I', n.nspname, c.relname) as name, c.relkind = 'r' as "isTable"
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'evdb')
    order by name`;
  const contents: string[] = [];
  for (const { name, isTable } of relations) {
    const rows = isTable ? await sql.unsafe(`select t.* from ${name} as t order by t::text`) : [];
    contents.push(name, ...rows.map((row) => JSON.stringify(row)));
  }
  return contents;
}
