import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, inject } from 'vitest';
import {
  closeSql,
  dropDatabase,
  newDatabaseName,
  openSql,
  withDatabase,
} from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { type CliResult, scrubEnvironment } from '../support/run-cli.ts';
import { expectError, parseJson } from './cli-kit.ts';

/** A place where evdb runs otherwise than here: see scripts/matrix.mjs, which also chooses Node and server. */
interface Corner {
  about: string;
  isOrdinaryUser?: boolean;
  isReadOnly?: boolean;
  env?: Record<string, string>;
  encoding?: string;
  locale?: string;
  /** Of the database. */
  settings?: Record<string, string>;
}

const corners: Record<string, Corner> = JSON.parse(
  readFileSync(new URL('corners.json', import.meta.url), 'utf8'),
);
const name = process.env.EVDB_TEST_CORNER ?? 'odd-folder';
const corner = corners[name] ?? { about: 'a corner that is not listed' };
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
const isSomebodyElse = isRoot && corner.isOrdinaryUser === true;

/** What every encoding here can hold. */
const LATIN_WORD = 'Größe - é';

/** What a project has beside the event schema: text, and a script that runs without a transaction. */
const FILES: Record<string, string> = {
  'migrations/900_words.sql': `-- ${LATIN_WORD}\ncreate table words (word text primary key, at timestamptz not null default now());\ninsert into words (word) values ('${LATIN_WORD}'), ('I'), ('i');\n`,
  'migrations/900_words.down.sql': 'drop table words;\n',
  'migrations/901_copied.sql': `create table copied (word text, seen timestamp, share numeric);\ncopy copied from stdin;\n${LATIN_WORD}\t2026-02-03 04:05:06\t1.5\n\\.\n`,
  'migrations/901_copied.down.sql': 'drop table copied;\n',
  'migrations/902_words_at.sql':
    '-- evdb: no-transaction\ncreate index concurrently words_at on words (at);\n',
  'migrations/902_words_at.down.sql':
    '-- evdb: no-transaction\ndrop index concurrently words_at;\n',
  'wrong/999_wrong.sql': 'create table half (id int);\nselect 1 / 0;\n',
};

/** The package in a project of its own, as `npm install` would put it there. */
async function makeProject() {
  const folder = await mkdtemp(join(tmpdir(), 'evdb ünï 日本 $(x) '));
  const dir = join(folder, 'Projekt "eins"');
  mkdirSync(dir);
  const installed = join(inject('packedProject'), 'node_modules');
  try {
    execFileSync('cp', ['-al', installed, dir], { stdio: 'ignore' });
  } catch {
    // Another disk, or no GNU.
    execFileSync('cp', ['-R', installed, dir]);
  }
  writeFileSync(join(dir, 'package.json'), '{ "name": "project", "private": true }\n');
  for (const path of [folder, dir]) {
    chmodSync(path, 0o755);
    if (isSomebodyElse) chownSync(path, NOBODY, NOBODY);
  }
  return { dir, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Everything in the project but what is installed. */
function setModes(dir: string, folderMode: number, fileMode: number): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.name === 'node_modules') continue;
    if (entry.isDirectory()) setModes(path, folderMode, fileMode);
    else chmodSync(path, fileMode);
  }
  chmodSync(dir, folderMode);
}

async function makeDatabase() {
  const admin = openSql(inject('adminUrl'), 1);
  const database = newDatabaseName();
  const { encoding = 'UTF8', locale = 'C', settings = {} } = corner;
  const [server] = await admin`select current_setting('server_version_num')::int as version`;
  const provider = server?.version >= 150000 ? 'locale_provider libc' : '';
  await admin.unsafe(
    `create database ${database} template template0 encoding '${encoding}' ${provider} lc_collate '${locale}' lc_ctype '${locale}'`,
  );
  for (const [setting, value] of Object.entries(settings)) {
    const written = setting === 'DateStyle' ? value : `'${value}'`;
    await admin.unsafe(`alter database ${database} set "${setting}" = ${written}`);
  }
  const url = withDatabase(inject('adminUrl'), database);
  const sql = openSql(url, 1);
  const remove = async () => {
    await closeSql(sql);
    await dropDatabase(admin, database);
    await closeSql(admin);
  };
  return { url, sql, remove };
}

function run(args: string[], cwd: string, url: string): Promise<CliResult> {
  const bin = join(cwd, 'node_modules/evdb/bin/evdb.js');
  const node = process.env.EVDB_TEST_NODE || process.execPath;
  const env = {
    ...scrubEnvironment(process.env),
    ...corner.env,
    ...(isSomebodyElse && { HOME: '/nonexistent', USER: 'nobody' }),
    PATH: `${dirname(node)}:${process.env.PATH}`,
    EVDB_URL: url,
  };
  const user = isSomebodyElse ? { uid: NOBODY, gid: NOBODY } : {};
  return new Promise((resolve) => {
    execFile(node, [bin, ...args], { cwd, env, ...user }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ code, signal: (error?.signal as NodeJS.Signals) ?? null, stdout, stderr });
    });
  });
}

test.skipIf(process.platform === 'win32')(
  `works from beginning to end in the corner "${name}": ${corner.about}`,
  async ({ onTestFinished }) => {
    expect(Object.keys(corners)).toContain(name);
    const [{ dir, remove }, database] = [await makeProject(), await makeDatabase()];
    onTestFinished(async () => {
      await database.remove();
      setModes(dir, 0o755, 0o644);
      await remove();
    });
    const { url, sql } = database;
    const evdb = (...args: string[]) => run(args, dir, url);
    const done = async (...args: string[]) => {
      const result = await evdb(...args);
      expect(result, result.stderr).toMatchObject({ code: 0 });
      return result;
    };
    if (corner.settings?.lc_messages) {
      await expect(sql`select 1 / 0`).rejects.toMatchObject({ code: '22012' });
      await expect(sql`select 1 / 0`).rejects.not.toThrow('division by zero');
    }

    await done('init');
    mkdirSync(join(dir, 'wrong'));
    for (const [path, text] of Object.entries(FILES)) writeFileSync(join(dir, path), text);
    if (corner.isReadOnly) setModes(dir, 0o555, 0o444);

    const files = readdirSync(join(dir, 'migrations')).filter((file) =>
      /^\d+_.*(?<!\.down)\.sql$/.test(file),
    );
    expect(parseJson(await done('lint', '--json'))).toMatchObject({ ok: true });
    await done('migrate', 'plan');
    const up = parseJson(await done('migrate', 'up', '--json')) as unknown as {
      steps: unknown[];
    };
    expect(up.steps).toHaveLength(files.length);
    expect(await sql`select word from public.words order by word collate "C"`).toEqual([
      ...[{ word: LATIN_WORD }, { word: 'I' }, { word: 'i' }],
    ]);
    expect(
      await sql`select word, seen = timestamp '2026-02-03 04:05:06' as seen, share::text from public.copied`,
    ).toEqual([{ word: LATIN_WORD, seen: true, share: '1.5' }]);
    expect((await done('migrate', 'up')).stdout).not.toMatch(/^applied/m);
    expect((await done('migrate', 'status')).stdout).not.toMatch(/pending|changed/);
    await done('migrate', 'validate');
    expect(parseJson(await done('schema', 'diff', '--json'))).toMatchObject({ ok: true });
    expect((await done('schema', 'dump')).stdout).toContain('words_at');
    await done('rules', 'check');
    await done('stats', 'tables');
    expect([0, 3]).toContain((await evdb('doctor')).code);

    const wrong = await evdb('migrate', 'up', '--migrations-dir', 'wrong', '--schema', 'other');
    expectError(wrong, 'MIGRATION_FAILED', 1);
    expect(wrong.stderr).toContain('22012');
    expect(await sql`select to_regclass('other.half') as half`).toEqual([{ half: null }]);

    await done('migrate', 'down', '--steps', '3');
    expect(await sql`select to_regclass('public.words') as words`).toEqual([{ words: null }]);
    const again = parseJson(await done('migrate', 'up', '--json')) as unknown as {
      steps: unknown[];
    };
    expect(again.steps).toHaveLength(3);
  },
  600_000,
);
