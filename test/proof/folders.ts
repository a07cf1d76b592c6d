import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../support/random.ts';

/** What a migration is made of; each needs other care where it is cut short. */
export type Kind = 'transactional' | 'no-transaction' | 'copy' | 'long' | 'backfill';

export interface ProofMigration {
  version: number;
  kind: Kind;
  /** Its table; of a backfill the one that it changes. */
  table: string;
  up: string;
  down: string;
}

const KINDS: readonly Kind[] = ['transactional', 'no-transaction', 'copy', 'long', 'backfill'];

/** How many rows each table begins with. */
export const ROWS = 60;

/**
 * A folder of migrations of several kinds. Every script but those of backfills notes that it ran, in a
 * table outside of the schema that it migrates and without any key: what ran twice stands there twice.
 */
export function makeFolder(random: Random): ProofMigration[] {
  const count = 3 + random.below(4);
  const made: ProofMigration[] = [];
  for (let version = 1; version <= count; version++) {
    const untouched = made.filter(
      ({ kind, table }) => kind !== 'backfill' && !made.some((one) => isBackfillOf(one, table)),
    );
    const kind = random.pick(untouched.length > 0 ? KINDS : KINDS.slice(0, 4));
    const table = kind === 'backfill' ? random.pick(untouched).table : `t${version}`;
    const scripts = kind === 'backfill' ? backfill(table) : SCRIPTS[kind](table, noter(version));
    made.push({ version, kind, table, ...scripts });
  }
  return made;
}

function isBackfillOf({ kind, table }: ProofMigration, wanted: string): boolean {
  return kind === 'backfill' && table === wanted;
}

type Note = (direction: 'up' | 'down') => string;

function noter(version: number): Note {
  return (direction) =>
    `insert into proof.ran values (current_schema(), ${version}, '${direction}');`;
}

function createTable(table: string): string {
  return `create table ${table} (id integer primary key, n integer not null default 0);`;
}

function fill(table: string): string {
  return `insert into ${table} select i from generate_series(1, ${ROWS}) i;`;
}

const SCRIPTS: Record<
  Exclude<Kind, 'backfill'>,
  (table: string, note: Note) => { up: string; down: string }
> = {
  transactional: (table, note) => ({
    up: lines(
      createTable(table),
      fill(table),
      `create index ${table}_n on ${table} (n);`,
      note('up'),
    ),
    down: lines(`drop table ${table};`, note('down')),
  }),
  'no-transaction': (table, note) => ({
    up: lines(
      '-- evdb: no-transaction',
      createTable(table),
      fill(table),
      `create index concurrently ${table}_n on ${table} (n);`,
      note('up'),
    ),
    down: lines(
      '-- evdb: no-transaction',
      `drop index concurrently ${table}_n;`,
      `drop table ${table};`,
      note('down'),
    ),
  }),
  copy: (table, note) => ({
    up: lines(
      createTable(table),
      `copy ${table} (id) from stdin;`,
      ...Array.from({ length: ROWS }, (_, at) => String(at + 1)),
      '\\.',
      note('up'),
      `create index ${table}_n on ${table} (n);`,
    ),
    down: lines(note('down'), `drop table ${table};`),
  }),
  long: (table, note) => ({
    up: lines(
      createTable(table),
      ...Array.from({ length: 12 }, (_, at) => `alter table ${table} add c${at} text;`),
      fill(table),
      note('up'),
      `create index ${table}_n on ${table} (n);`,
      `comment on table ${table} is 'long';`,
    ),
    down: lines(
      ...Array.from({ length: 12 }, (_, at) => `alter table ${table} drop c${at};`),
      `drop table ${table};`,
      note('down'),
    ),
  }),
};

/** Not to be done twice for any row: it counts. */
function backfill(table: string): { up: string; down: string } {
  const header = lines(`-- evdb: backfill ${table}`, '-- evdb: batch-rows 10');
  return {
    up: lines(header, `update ${table} set n = n + 1;`),
    down: lines(header, `update ${table} set n = n - 1;`),
  };
}

/** Applied behind the migrations, and again where it changed: a view, and the function that it needs. */
const REPEATABLES = {
  counted: 'create or replace view counted as select seven() as n;',
  seven: "create or replace function seven() returns integer language sql as 'select 7';",
};

function lines(...parts: string[]): string {
  return parts.join('\n');
}

/** Writes the scripts and two repeatables, in place of what the folder held. */
export async function writeFolder(directory: string, made: ProofMigration[]): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  for (const { version, kind, up, down } of made) {
    const name = `${String(version).padStart(3, '0')}_${kind.replace('-', '_')}`;
    await writeFile(join(directory, `${name}.sql`), `${up}\n`);
    await writeFile(join(directory, `${name}.down.sql`), `${down}\n`);
  }
  await mkdir(join(directory, 'repeatable'));
  for (const [name, text] of Object.entries(REPEATABLES)) {
    await writeFile(join(directory, 'repeatable', `${name}.sql`), `${text}\n`);
  }
}
