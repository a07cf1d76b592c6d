import { expect } from 'vitest';
import { packagePath } from '../../src/file-system.ts';
import { readDocuments, test } from './fleet-kit.ts';

const EVENTS = ['--migrations-dir', packagePath('migrations')];
const OLD_ENTRIES = (schema: string, count: number) =>
  `insert into ${schema}.audit_logs_overflow (created_at, table_name, operation)
  select now() - interval '100 days', 'users', 'TRUNCATE' from generate_series(1, ${count})`;

test('checks the rules of every member, and cleans the audit log of each', async ({ fleet }) => {
  await fleet.fleets({ tenants: { members: ['a', 'b', 'c'] } });
  // What lacks the event schema fails alone.
  const made = await fleet.evdb(
    'migrate',
    'up',
    '--fleet',
    'tenants',
    '--only',
    'name=a,b',
    ...EVENTS,
  );
  expect(made).toMatchObject({ code: 0 });
  const check = ['rules', 'check', '--fleet', 'tenants'];
  const clean = await fleet.evdb(...check, '--only', 'name=a,b');
  expect(clean).toMatchObject({ code: 0 });
  expect(clean.stdout).toMatch(/^\[a\] no rule is broken$/m);
  await fleet.sql.unsafe(`
    with organiser as (
      insert into b.users (name, email, password_hash)
      values ('Ada', 'ada@example.org', '$2b$12$' || repeat('a', 53)) returning id
    )
    insert into b.events (title, date_time, location, capacity, created_by)
    select 'Talk', now() + interval '1 day', 'Here', 5, id from organiser`);
  await fleet.sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`update b.events set current_registrations = 3`;
  });
  const broken = readDocuments(await fleet.evdb(...check, '--json'));
  expect(broken.problems).toEqual([]);
  expect(broken.members.get('a')).toMatchObject({ ok: true, findings: [] });
  expect(broken.members.get('b')).toMatchObject({
    exitCode: 3,
    findings: [{ code: 'registration_count_mismatch', details: { count: 1 } }],
  });
  expect(broken.members.get('c')).toMatchObject({ ok: false });
  expect(broken.summary).toMatchObject({ counts: { done: 1, found: 1, failed: 1 } });

  await fleet.sql.unsafe(`${OLD_ENTRIES('a', 2)}; ${OLD_ENTRIES('b', 7)}`);
  const cleanup = ['audit', 'cleanup', '--days', '90', '--fleet', 'tenants'];
  const tried = await fleet.evdb(...cleanup, '--only', 'name=a,b', '--dry-run');
  expect(tried.stdout).toContain('Nothing was changed (--dry-run).');
  const counts = () =>
    fleet.sql`select (select count(*)::int from a.audit_logs_overflow) as a, (select count(*)::int from b.audit_logs_overflow) as b`;
  expect(await counts()).toEqual([{ a: 2, b: 7 }]);
  // It changes something: what fails first keeps the others from beginning.
  const stopped = await fleet.evdb(...cleanup, '--canary', 'name=c');
  expect(stopped.code).not.toBe(0);
  expect(stopped.stdout).toContain('1 failed, 2 not begun');
  expect(await counts()).toEqual([{ a: 2, b: 7 }]);
  const cleaned = await fleet.evdb(...cleanup, '--only', 'name=a,b');
  expect(cleaned).toMatchObject({ code: 0 });
  expect(cleaned.stdout).toMatch(/^\[a\] .*deleted 2 entries/m);
  expect(cleaned.stdout).toMatch(/^\[b\] .*deleted 7 entries/m);
  expect(await counts()).toEqual([{ a: 0, b: 0 }]);
});

test('applies seeds to every member, and with --resume not again to who has them', async ({
  fleet,
}) => {
  await fleet.fleets({ tenants: { members: ['a', 'b', 'c'] } });
  await fleet.evdb('migrate', 'up', '--fleet', 'tenants');
  await fleet.project.write('seeds/010_people.sql', 'insert into people (id) values (1);\n');
  await fleet.sql`insert into b.people (id) values (1)`;
  const seed = ['seed', '--fleet', 'tenants', '--concurrency', '1'];
  const first = await fleet.evdb(...seed);
  expect(first.code).toBe(1);
  expect(first.stdout).toContain('1 failed, 1 done, 1 not begun');
  const ids = async () =>
    (
      await fleet.sql`select id, 'a' as schema from a.people union all select id, 'b' from b.people union all select id, 'c' from c.people order by 2`
    ).map(({ schema }) => schema);
  expect(await ids()).toEqual(['a', 'b']);
  await fleet.sql`delete from b.people`;
  const second = readDocuments(await fleet.evdb(...seed, '--resume', '--json'));
  expect(second.problems).toEqual([]);
  expect(second.summary).toMatchObject({ exitCode: 0, counts: { done: 2, doneBefore: 1 } });
  expect(await ids()).toEqual(['a', 'b', 'c']);
});
