import type postgres from 'postgres';
import { describe, expect, inject } from 'vitest';
import { closeSql, openSql, withEmptyDatabase } from '../support/databases.ts';
import { test } from '../support/fixture.ts';
import { listMigrationNames, only, runFiles } from './event-schema-kit.ts';

interface Finding {
  name: string;
  level: string;
  message: string;
}

/** What plpgsql_check says that is known, and why it stays. */
const accepted: { name: RegExp; message: RegExp; reason: string }[] = [
  {
    name: /./,
    message: /^never read variable "v_ignored"$/,
    reason: 'an assignment calls a function for less than perform, which sets up a query',
  },
  {
    name: /^(attach_audit_trigger|create_audit_function)$/,
    message: /^text type variable is not sanitized$/,
    reason: 'attach_audit() puts each name through %I or %L, and the rest is in its functions',
  },
  {
    name: /^(grant_access|revoke_access)$/,
    message: /^text type variable is not sanitized$/,
    reason: 'each name in the statement went through %I, and the rest is in the function',
  },
  {
    name: /^create_audit_partition$/,
    message: /^routine is marked as VOLATILE, should be STABLE$/,
    reason: 'it creates a table by dynamic SQL, into which the check does not look',
  },
];

/**
 * The server that has plpgsql_check: `EVDB_TEST_PLPGSQL_CHECK_URL` where it is set (and then it must
 * have it), else the one of the run; undefined where that one does not.
 */
async function findServer(): Promise<string | undefined> {
  const given = process.env.EVDB_TEST_PLPGSQL_CHECK_URL;
  if (given) return given;
  const sql = openSql(inject('adminUrl'), 1);
  try {
    const rows = await sql`select from pg_available_extensions where name = 'plpgsql_check'`;
    return rows.length > 0 ? inject('adminUrl') : undefined;
  } finally {
    await closeSql(sql);
  }
}

/** Checks every function in plpgsql; triggers once for each table, with their transition tables. */
async function check(sql: postgres.Sql): Promise<{ checked: number; findings: Finding[] }> {
  await sql`create temp view checked as
    select p.oid, p.proname::text as name, coalesce(t.tgrelid, 0) as relation, t.old_table, t.new_table
    from pg_proc p
    join pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
    left join (
      select tgfoid, tgrelid, max(tgoldtable) as old_table, max(tgnewtable) as new_table
      from pg_trigger where not tgisinternal group by tgfoid, tgrelid
    ) t on t.tgfoid = p.oid
    where p.pronamespace = 'public'::regnamespace`;
  const [counted] = await sql<{ count: number }[]>`
    select count(distinct oid)::int as count from checked`;
  const findings = await sql<Finding[]>`
    select c.name, f.level, f.message
    from checked c
    cross join lateral checker.plpgsql_check_function_tb(
      c.oid, c.relation, fatal_errors := false, all_warnings := true,
      oldtable := c.old_table, newtable := c.new_table) f`;
  return { checked: only(counted).count, findings: [...findings] };
}

const withCheckedDatabase = (server: string, work: (sql: postgres.Sql) => Promise<void>) =>
  withEmptyDatabase(server, async (sql) => {
    await sql`create schema checker`;
    await sql`create extension plpgsql_check schema checker`;
    await work(sql);
  });

const missing =
  'plpgsql_check is not available here; EVDB_TEST_PLPGSQL_CHECK_URL names a server that has it';

describe('plpgsql_check', () => {
  test('finds nothing in the functions of the schema that is not explained', async ({ skip }) => {
    const server = await findServer();
    if (!server) return skip(missing);
    await withCheckedDatabase(server, async (sql) => {
      await runFiles(sql, 'public', await listMigrationNames());
      const { checked, findings } = await check(sql);
      expect(checked).toBeGreaterThan(30);
      const isAccepted = (finding: Finding) =>
        accepted.some((a) => a.name.test(finding.name) && a.message.test(finding.message));
      expect(findings.filter((finding) => !isAccepted(finding))).toEqual([]);
      const idle = accepted.filter(
        (a) => !findings.some((f) => a.name.test(f.name) && a.message.test(f.message)),
      );
      expect(idle).toEqual([]);
    });
  });

  test('finds a mistake in a trigger function, so that its silence means something', async ({
    skip,
  }) => {
    const server = await findServer();
    if (!server) return skip(missing);
    await withCheckedDatabase(server, async (sql) => {
      await sql.unsafe(`
        create table things (id int);
        create function watch() returns trigger language plpgsql as
          'declare v_unused int; begin perform n.missing from new_rows n; return null; end';
        create trigger watch after insert on things referencing new table as new_rows
          for each statement execute function watch();`);
      const { findings } = await check(sql);
      expect(findings.map((finding) => [finding.name, finding.message])).toEqual(
        expect.arrayContaining([
          ['watch', 'column n.missing does not exist'],
          ['watch', 'unused variable "v_unused"'],
        ]),
      );
    });
  });
});
