import { describe, expect } from 'vitest';
import { addEvent, addUsers } from '../event-schema/event-schema-kit.ts';
import { behindTriggers, listBroken, smuggle } from '../event-schema/rules-kit.ts';
import { test as base } from '../support/fixture.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { expectError, expectHint, parseJson, test as withRole } from './cli-kit.ts';

const test = base.extend<{ evdb: (...args: string[]) => Promise<CliResult> }>({
  evdb: async ({ project, db }, use) => {
    const config = { environments: { production: { protected: true } } };
    await project.write('evdb.config.json', JSON.stringify(config));
    await use((...args) => runCli(args, { cwd: project.dir, env: { EVDB_URL: db.url } }));
  },
});

describe('rules check', () => {
  test('says that no rule is broken', async ({ evdb }) => {
    expect(await evdb('rules', 'check')).toMatchObject({ code: 0, stdout: 'no rule is broken\n' });
    expect(parseJson(await evdb('rules', 'check', '--json'))).toMatchObject({ findings: [] });
  });

  test('exits 3 and shows rule, severity, count, samples and the repair', async ({ evdb, db }) => {
    const event = await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    const { code, stdout } = await evdb('rules', 'check');
    expect(code).toBe(3);
    expect(stdout).toMatch(/^rule +severity +count +samples$/m);
    expect(stdout).toMatch(new RegExp(`^registration_count_mismatch +error +1 +${event}$`, 'm'));
    expect(stdout).toContain(`event ${event} counts 3, confirmed are 0`);
    expect(stdout).toContain('repair: evdb rules repair registration_count_mismatch --confirm');
    const json = await evdb('rules', 'check', '--json');
    expect(json.code).toBe(3);
    expect(parseJson(json)).toMatchObject({
      findings: [
        {
          code: 'registration_count_mismatch',
          severity: 'error',
          details: { count: 1, sampleIds: [event] },
        },
      ],
    });
  });

  test('names what comes before a repair that would leave the event alone', async ({
    evdb,
    db,
  }) => {
    const [ann = 0, bob = 0] = await addUsers(db.sql, 2);
    const event = await addEvent(db.sql, { capacity: 1 });
    await smuggle(db.sql, ann, event);
    await smuggle(db.sql, bob, event);
    const { stdout } = await evdb('rules', 'check');
    expect(stdout).toContain(
      'repair: first raise the capacity of the events that break capacity_exceeded, then evdb rules repair registration_count_mismatch --confirm',
    );
  });

  test('exits 0 where only warnings are found and errors asked for', async ({ evdb, db }) => {
    await addEvent(db.sql);
    await db.sql`delete from event_search_documents`;
    expect(await evdb('rules', 'check')).toMatchObject({ code: 3 });
    expect(await evdb('rules', 'check', '--severity', 'error')).toMatchObject({ code: 0 });
    expectError(await evdb('rules', 'check', '--severity', 'fatal'), 'USAGE', 2);
  });
});

test('rules list names every rule', async ({ evdb, db }) => {
  const { code, stdout } = await evdb('rules', 'list', '--full');
  expect(code).toBe(0);
  for (const { rule_name } of await db.sql`select rule_name from list_business_rules()`) {
    expect(stdout).toContain(rule_name);
  }
});

describe('rules repair', () => {
  test('asks for --confirm, and changes nothing without', async ({ evdb, db }) => {
    await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    const refused = await evdb('rules', 'repair');
    expectError(refused, 'CONFIRM_REQUIRED', 2);
    expect(refused.stderr).toContain('evdb rules repair --confirm');
    expect(await listBroken(db.sql)).toHaveLength(1);
  });

  test('shows with --dry-run every change, and makes none', async ({ evdb, db }) => {
    const event = await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    const { code, stdout } = await evdb('rules', 'repair', '--dry-run');
    expect(code).toBe(0);
    expect(stdout).toContain('would repair  registration_count_mismatch: 1 event');
    expect(stdout).toContain(`events ${event} REPAIR`);
    expect(stdout).toContain('current_registrations: 3 → 0');
    expect(stdout).toContain('Nothing was changed (--dry-run).');
    expect(await listBroken(db.sql)).toHaveLength(1);
  });

  test('repairs with --confirm, and exits 3 while something is still broken', async ({
    evdb,
    db,
  }) => {
    await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    await db.sql`alter table users disable trigger users_30_fill`;
    const first = await evdb('rules', 'repair', '--confirm');
    expect(first.code).toBe(3);
    expect(first.stdout).toContain('repaired  registration_count_mismatch: 1 event');
    expect(first.stdout).toContain('Still broken: disabled_triggers (1)');
    await db.sql`alter table users enable trigger users_30_fill`;
    expect(await evdb('rules', 'repair', '--confirm')).toMatchObject({
      code: 0,
      stdout: 'nothing to repair\n',
    });
  });

  test('refuses a protected environment, whatever is confirmed', async ({ evdb, db }) => {
    await addEvent(db.sql);
    await behindTriggers(db.sql, 'update events set current_registrations = 3');
    const refused = await evdb('rules', 'repair', '--confirm', '--env', 'production');
    expectError(refused, 'PROTECTED_ENVIRONMENT', 2);
    expectHint(refused);
    expect(await listBroken(db.sql)).toHaveLength(1);
    const dry = await evdb('rules', 'repair', '--dry-run', '--env', 'production');
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('would repair') });
  });

  test('refuses a rule that does not exist', async ({ evdb }) => {
    expectError(await evdb('rules', 'repair', 'nonsense', '--confirm'), 'USAGE', 2);
  });
});

base.for([
  'rules check',
  'rules repair --confirm',
  'audit log',
  'audit summary',
  'audit cleanup --days 90',
  'events list',
  'events register 1 1',
])('says that a database has no event schema: %s', async (line, { project, emptyDb }) => {
  const args = line.split(' ');
  const env = { EVDB_URL: emptyDb.url };
  const result = await runCli(args, { cwd: project.dir, env });
  expectError(result, 'EVENT_SCHEMA_MISSING', 1);
  expect(result.stderr).toContain('evdb migrate up');
  const other = await runCli([...args, '--schema', 'tenant_a'], { cwd: project.dir, env });
  expect(other.stderr).toContain('evdb migrate up --schema tenant_a');
});

const withReader = withRole.extend<{ evdb: (...args: string[]) => Promise<CliResult> }>({
  evdb: async ({ role, project }, use) => {
    await use((...args) => runCli(args, { cwd: project.dir, env: { EVDB_URL: role.url } }));
  },
});

withReader('names the grant that a role lacks', async ({ evdb, emptyDb, role }) => {
  const { listMigrationNames, runFiles } = await import('../event-schema/event-schema-kit.ts');
  await runFiles(emptyDb.sql, 'public', await listMigrationNames());
  const reading = await evdb('rules', 'check');
  expectError(reading, 'PERMISSION_DENIED', 1);
  expect(reading.stderr).toContain(`select "public".grant_read_only_access('${role.name}')`);
  const log = await evdb('audit', 'log');
  expect(log.stderr).toContain(`select "public".grant_read_only_access('${role.name}', true)`);
  const events = await evdb('events', 'list');
  expect(events.stderr).toContain(`select "public".grant_application_access('${role.name}')`);
  for (const args of [
    ['audit', 'cleanup', '--days', '90'],
    ['rules', 'repair', '--confirm'],
  ]) {
    const owned = await evdb(...args);
    expectError(owned, 'PERMISSION_DENIED', 1);
    expectHint(owned);
  }

  await emptyDb.sql`select grant_read_only_access(${role.name}, true)`;
  expect(await evdb('rules', 'check')).toMatchObject({ code: 0 });
  expect(await evdb('audit', 'log')).toMatchObject({ code: 0 });
  expect(await evdb('audit', 'summary')).toMatchObject({ code: 0 });
  expectError(await evdb('audit', 'cleanup', '--days', '90'), 'PERMISSION_DENIED', 1);
  await emptyDb.sql`select grant_application_access(${role.name})`;
  expect(await evdb('events', 'list')).toMatchObject({ code: 0 });
});
