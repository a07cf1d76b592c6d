import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import type postgres from 'postgres';
import { expect } from 'vitest';
import { checkScript } from '../../src/sql/check.ts';
import { loadSqlParser } from '../../src/sql/parser.ts';
import { splitStatements } from '../../src/sql/statements.ts';
import { type TestDatabase, test } from '../support/fixture.ts';
import { expectAlways, FUZZ_TIMEOUT_MS as timeout } from './fuzzing.ts';
import { runHere } from './in-process.ts';
import { cutScripts, goodScripts } from './sql-scripts.ts';

// How evdb reads a script, beside how the server reads it. The server reads all of it before it runs any.

class Enough extends Error {}

/** Runs what is then rolled back. */
async function inTransaction<T>(
  { sql }: TestDatabase,
  work: (transaction: postgres.TransactionSql) => Promise<T>,
): Promise<T | undefined> {
  let result: T | undefined;
  await sql
    .begin(async (transaction) => {
      result = await work(transaction);
      throw new Enough();
    })
    .catch((error) => {
      if (!(error instanceof Enough)) throw error;
    });
  return result;
}

const valuesOf = (rows: unknown) => (rows as Record<string, unknown>[]).map(Object.entries);

test(
  'a script falls into the statements that the server runs, and nothing else is in it',
  async ({ emptyDb }) => {
    const property = fc.asyncProperty(goodScripts(), async (script) => {
      const statements = splitStatements(script);
      // Between two others, so that there are several answers.
      const whole = await inTransaction(emptyDb, (transaction) =>
        transaction.unsafe(`select 1;${script}\n;select 2`).simple(),
      );
      const byOne = await inTransaction(emptyDb, async (transaction) => {
        const answers = [];
        // Not the simple protocol: this one refuses more than one statement.
        for (const { text } of statements)
          answers.push(await transaction.unsafe(text, [], { simple: false } as object));
        return answers;
      });
      // What has no statement in it has no command either; the driver keeps the answers that have columns.
      expect(byOne?.map(({ command }) => command)).not.toContain(null);
      const withColumns = byOne?.filter(({ columns }) => columns?.length > 0);
      expect(withColumns?.map(valuesOf)).toEqual(whole?.slice(1, -1).map(valuesOf));
      const between = [...statements, { start: script.length, end: 0 }].map(({ start }, at) =>
        script.slice(statements[at - 1]?.end ?? 0, start),
      );
      const rest = await inTransaction(emptyDb, (transaction) =>
        transaction.unsafe(`select 1;${between.join('\n;')}\n;select 2`).simple(),
      );
      expect(rest).toHaveLength(2);
    });
    await expectAlways('whole scripts', property, 50);
  },
  timeout,
);

test(
  'lint, plan, trace and up agree with the server on whether a script runs, whole or cut',
  async ({ emptyDb, project, skip }) => {
    const [{ version = 0 } = {}] = await emptyDb.sql`
      select current_setting('server_version_num')::int / 10000 as version`;
    skip(version !== 18, 'the grammar is that of PostgreSQL 18');
    const parser = await loadSqlParser();
    await project.migration('001_script', 'select 1;');
    const path = join(project.dir, 'migrations/001_script.sql');
    const env = { EVDB_URL: emptyDb.url, HOME: project.dir };
    const evdb = (...args: string[]) => runHere([...args, '--json'], { cwd: project.dir, env });
    await emptyDb.sql`create sequence read`;
    const property = fc.asyncProperty(fc.oneof(goodScripts(), cutScripts()), async (script) => {
      const server = await runOnServer(emptyDb, script);
      const problems = checkScript(script, parser).map(({ code }) => code);
      if (!server.isRead) expect(problems, 'read').not.toEqual([]);
      if (problems.length > 0) expect(server.code, 'runs').toBeDefined();

      await writeFile(path, script);
      const linted = await evdb('lint');
      const planned = await evdb('migrate', 'plan');
      const traced = await evdb('migrate', 'plan', '--trace-on-target');
      const applied = await evdb('migrate', 'up');
      await emptyDb.sql`drop schema if exists evdb cascade`;
      const said = { linted, planned, traced, applied };
      const what = JSON.stringify({ script, server, problems, said });
      const nothing = splitStatements(script).length === 0 ? 'EMPTY_FILE' : undefined;
      const refusal = problems[0] ?? nothing;
      if (refusal !== undefined) {
        expect([linted.code, planned.code, traced.code, applied.code], what).not.toContain(0);
        for (const { stdout } of [planned, traced, applied])
          expect(JSON.parse(stdout).error.code, what).toBe(refusal);
        return;
      }
      const runs = server.code === undefined;
      expect(planned.code, what).toBe(0);
      expect(traced.code, what).toBe(runs ? 0 : 3);
      expect(applied.code === 0, what).toBe(runs);
    });
    await expectAlways('scripts, whole or cut', property);
    await rm(path);
  },
  timeout,
);

/** Whether the server could read all of it, and the SQLSTATE where it does not run to its end. */
async function runOnServer(
  database: TestDatabase,
  script: string,
): Promise<{ isRead: boolean; code: string | undefined }> {
  const count = async () => (await database.sql`select last_value, is_called from read`)[0];
  const before = await count();
  const code = await inTransaction(database, (transaction) =>
    // A sequence is not rolled back.
    transaction.unsafe(`select nextval('read');${script}`).simple(),
  ).then(
    () => undefined,
    (error: { code?: string }) => error.code ?? 'unknown',
  );
  return { isRead: JSON.stringify(before) !== JSON.stringify(await count()), code };
}
