import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes small migrations, each a table, an index and a comment with the way back.
 *
 * @param {string} directory made where it is missing
 * @param {number} count
 * @returns {string[]} paths of the up scripts, in order
 */
export function writeMigrations(directory, count) {
  return writeEach(directory, count, (stem, { up, down }) => [
    [`${stem}.sql`, up],
    [`${stem}.down.sql`, down],
  ]);
}

/**
 * Writes the same migrations as dbmate wants them.
 *
 * @param {string} directory
 * @param {number} count
 * @returns {string[]} paths, in order
 */
export function writeDbmateMigrations(directory, count) {
  return writeEach(directory, count, (stem, { up, down }) => [
    [`${stem}.sql`, `-- migrate:up\n${up}\n-- migrate:down\n${down}`],
  ]);
}

/**
 * Writes the script for one psql session: each file between `begin` and `commit`, with its row.
 *
 * @param {string} path
 * @param {string[]} files
 */
export function writePsqlScript(path, files) {
  const steps = files.map(
    (file, index) =>
      `begin;\n\\i '${file}'\ninsert into ledger (version, name) values (${index + 1}, '${nameOf(index)}');\ncommit;\n`,
  );
  const ledger =
    'create table ledger (version bigint primary key, name text not null, applied_at timestamptz not null default now());\n';
  writeFileSync(path, ledger + steps.join(''));
}

/**
 * @param {string} directory
 * @param {number} count
 * @param {(stem: string, scripts: { up: string, down: string }) => [name: string, text: string][]} render
 */
function writeEach(directory, count, render) {
  mkdirSync(directory, { recursive: true });
  return Array.from({ length: count }, (_, index) => {
    const stem = `${digits(index)}_${nameOf(index)}`;
    const files = render(stem, renderScripts(index));
    for (const [name, text] of files) writeFileSync(join(directory, name), text);
    return join(directory, files[0][0]);
  });
}

/**
 * The small migrations without their files: what a bench writes as other tools want them.
 *
 * @param {number} count
 * @returns {{ name: string, up: string, down: string }[]}
 */
export function smallScripts(count) {
  return Array.from({ length: count }, (_, index) => ({
    name: nameOf(index),
    ...renderScripts(index),
  }));
}

/** @param {number} index */
function renderScripts(index) {
  const table = `item_${digits(index)}`;
  return {
    up: `create table ${table} (
    id integer primary key,
    name text not null,
    created_at timestamptz not null default now()
);
create index ${table}_name_idx on ${table} (name);
comment on table ${table} is 'Item ${index + 1}, made by migration ${digits(index)}.';
`,
    down: `drop table ${table};\n`,
  };
}

/** @param {number} index */
function nameOf(index) {
  return `create_item_${digits(index)}`;
}

// As wide for every count, and sorted as text they are in order: dbmate compares text.
/** @param {number} index */
function digits(index) {
  return String(index + 1).padStart(6, '0');
}
