import type postgres from 'postgres';
import { test as base, inject, type TestContext } from 'vitest';
import {
  closeSql,
  createDatabase,
  dropDatabase,
  newDatabaseName,
  openSql,
  withDatabase,
} from './databases.ts';
import { createProject, type TestProject } from './project.ts';
import { ensureTemplate } from './template.ts';

/** A database of one test. */
export interface TestDatabase {
  url: string;
  name: string;
  /** A driver instance on it, ended by the fixture. */
  sql: postgres.Sql;
}

type Task = TestContext['task'];

interface Fixtures {
  $file: {
    /** One session of a role that may create databases. */
    admin: postgres.Sql;
    template: string;
  };
  $test: {
    /** Holds the complete event schema, without a ledger. */
    db: TestDatabase;
    emptyDb: TestDatabase;
    project: TestProject;
  };
}

/**
 * `test` with databases and a project folder, each made for the test that names it, removed where
 * it passes, and kept for a look where it fails.
 *
 * @example
 * test('finds the event by its title', async ({ db }) => {
 *   expect(await db.sql`select title from events`).toEqual([]);
 * });
 */
export const test = base.extend<Fixtures>({
  admin: [
    // vitest reads from the pattern which fixtures are needed: here none.
    async ({}, use) => {
      const admin = openSql(inject('adminUrl'), 1);
      await use(admin);
      await closeSql(admin);
    },
    { scope: 'file' },
  ],
  template: [async ({}, use) => use(await ensureTemplate(inject('adminUrl'))), { scope: 'file' }],
  db: async ({ admin, template, task }, use) => lendDatabase(admin, template, task, use),
  emptyDb: async ({ admin, task }, use) => lendDatabase(admin, 'template0', task, use),
  project: async ({ task }, use) => {
    const project = await createProject();
    await use(project);
    if (hasFailed(task)) console.error(`kept for a look: ${project.dir}`);
    else await project.remove();
  },
});

async function lendDatabase(
  admin: postgres.Sql,
  template: string,
  task: Task,
  use: (database: TestDatabase) => Promise<void>,
): Promise<void> {
  const name = newDatabaseName();
  await createDatabase(admin, name, template);
  const url = withDatabase(inject('adminUrl'), name);
  const sql = openSql(url);
  await use({ url, name, sql });
  await closeSql(sql);
  if (hasFailed(task)) console.error(`kept for a look: ${url}`);
  else await dropDatabase(admin, name);
}

function hasFailed(task: Task): boolean {
  return task.result?.state === 'fail' && !task.fails;
}
