import { describe, expect } from 'vitest';
import { test as base } from '../support/fixture.ts';
import { type CliResult, runCli, startCli } from '../support/run-cli.ts';
import { createTerminal } from '../support/terminal.ts';
import { listScratchSessions } from '../support/waiting.ts';
import { parseJson } from './cli-kit.ts';

interface Shop {
  dir: string;
  plan(...args: string[]): Promise<CliResult>;
}

/** `shop`: a project with a table of 1,000 rows and one pending migration that is felt. */
const test = base.extend<{ $test: { shop: Shop } }>({
  shop: async ({ project, emptyDb }, use) => {
    await project.migration(
      '001_orders',
      'create table orders (id integer primary key, note text)',
    );
    const env = { EVDB_URL: emptyDb.url };
    await runCli(['migrate', 'up'], { cwd: project.dir, env });
    await emptyDb.sql`insert into orders select i, 'note' from generate_series(1, 1000) as i`;
    await emptyDb.sql`vacuum analyze orders`;
    await project.migration(
      '002_token',
      'create table fresh (id integer);\nalter table orders add column token uuid default gen_random_uuid();',
      'alter table orders drop column token;\ndrop table fresh;',
    );
    await use({
      dir: project.dir,
      plan: (...args) => runCli(['migrate', 'plan', ...args], { cwd: project.dir, env }),
    });
  },
});

describe('migrate plan', () => {
  test('shows what is felt, how big the tables are, and does nothing', async ({
    shop,
    emptyDb,
  }) => {
    const { stdout, stderr, code } = await shop.plan('--trace');
    expect(stdout).toContain(`\
Would run 1 migration in schema public, each in a transaction of its own:
  up    002_token  2 statements
        strongest lock: ACCESS EXCLUSIVE on public.orders, blocks reads and writes
        waits for it 200 ms to 3.0 s, in up to 10 tries
        migrations/002_token.sql:2  alter table orders add column token uuid default gen_random_uuid()
`);
    expect(stdout).toMatch(
      /ACCESS EXCLUSIVE +blocks reads and writes of public\.orders \(1,000 rows, /,
    );
    expect(stdout).toMatch(/rewrites +public\.orders and its index/);
    expect(stdout).toMatch(/\nTraced in a scratch database beside the target, without rows\.\n/);
    expect(stdout).toMatch(/Nothing was changed\.\n$/);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const columns = await emptyDb.sql`
      select attname from pg_attribute where attrelid = 'orders'::regclass and attnum > 0`;
    expect(columns.map(({ attname }) => attname)).toEqual(['id', 'note']);
  });

  test('gives the same as data', async ({ shop }) => {
    const result = await shop.plan('--json', '--trace');
    expect(parseJson(result)).toMatchObject({
      ...{ command: 'migrate plan', ok: true, dryRun: true, schema: 'public', warnings: [] },
      trace: { where: 'beside', serverVersion: expect.any(Number) },
      serverVersion: expect.any(Number),
      steps: [
        {
          ...{ direction: 'up', version: '2', label: '002', name: 'token', isTransactional: true },
          file: 'migrations/002_token.sql',
          waits: {
            lockTimeoutsMs: expect.arrayContaining([200, 3000]),
            budgetMs: null,
            dataLockTimeoutMs: 10_000,
            statementTimeoutMs: null,
          },
          strongestLock: {
            ...{ mode: 'AccessExclusive', blocks: 'reads and writes' },
            relations: ['public.orders'],
          },
          statements: [
            { line: 1, column: 1, command: 'create table', locks: [], rewrites: [] },
            {
              ...{ line: 2, column: 1, command: 'alter table', evidence: 'trace' },
              text: 'alter table orders add column token uuid default gen_random_uuid()',
              rewrites: [{ relation: 'public.orders', isCertain: true }],
              unknowns: [],
              trace: { outcome: 'traced', reason: null, durationMs: expect.any(Number) },
            },
          ],
        },
      ],
      tables: {
        'public.orders': { rows: 1000, bytes: expect.any(Number), indexes: 1, isNew: false },
      },
    });
  });

  test('says that there is nothing to do', async ({ shop, emptyDb }) => {
    await runCli(['migrate', 'up'], { cwd: shop.dir, env: { EVDB_URL: emptyDb.url } });
    const { stdout, code } = await shop.plan('--budget', 'rewrite-rows=1');
    expect(stdout).toBe('nothing to apply: everything is applied\n');
    expect(code).toBe(0);
  });

  test('says that the target is applied already, and how to go back to it', async ({
    shop,
    emptyDb,
  }) => {
    const options = { cwd: shop.dir, env: { EVDB_URL: emptyDb.url } };
    await runCli(['migrate', 'up'], options);
    const says =
      'nothing to apply: 001 is applied already; `evdb migrate down --to 001` rolls back what is newer\n';
    expect(await shop.plan('--to', '1')).toMatchObject({ code: 0, stdout: says });
    const up = await runCli(['migrate', 'up', '--to', '1'], options);
    expect(up).toMatchObject({ code: 0, stdout: says });
  });

  test('says at which statement a migration continues that stopped half way', async ({
    shop,
    project,
    emptyDb,
  }) => {
    await project.migration(
      '002_token',
      '-- evdb: no-transaction\ncreate table a ();\nselect 1 / 0;\ncreate table b ();',
    );
    const options = { cwd: shop.dir, env: { EVDB_URL: emptyDb.url } };
    expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 1 });
    const { stdout } = await shop.plan();
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain('continues at statement 2 of 3');
    const json = parseJson(await shop.plan('--json'));
    expect(json).toMatchObject({ steps: [{ isContinued: true, statementsDone: 1 }] });

    await project.migration('002_token', '-- evdb: no-transaction\nselect 1 / 0;');
    await emptyDb.sql`drop table a`;
    await emptyDb.sql`delete from evdb.migration where version = 2`;
    expect(await runCli(['migrate', 'up'], options)).toMatchObject({ code: 1 });
    expect((await shop.plan()).stdout).toContain('continues at statement 1 of 1');
  });

  test('refuses what up would refuse', async ({ shop, project }) => {
    await project.migration('003_wrong', 'selec 1;');
    const { stderr, code } = await shop.plan();
    expect(stderr).toContain('error SYNTAX_ERROR  migrations/003_wrong.sql:1:1');
    expect(code).toBe(1);
  });

  test('says where no database answers', async ({ shop }) => {
    const { stdout, stderr, code } = await shop.plan('--url', 'postgres://x@127.0.0.1:1/x');
    expect(stdout).toBe('');
    expect(stderr).toContain('error CONNECTION_REFUSED');
    expect(code).toBe(4);
  });

  test('is what the dry runs show too', async ({ shop, emptyDb }) => {
    const options = { cwd: shop.dir, env: { EVDB_URL: emptyDb.url } };
    const plan = await shop.plan();
    const dryRun = await runCli(['migrate', 'up', '--dry-run'], options);
    expect(dryRun.stdout).toBe(
      plan.stdout.replace('Nothing was changed.', 'Nothing was changed (--dry-run).'),
    );
  });

  test.for([40, 80, 200])('fits a terminal of %i columns', async (columns, { shop, emptyDb }) => {
    const terminal = createTerminal({ columns, rows: 40 }, { cwd: shop.dir, url: emptyDb.url });
    expect(await terminal.run('migrate', 'plan', '--trace', '--verbose')).toBe(0);
    const tooWide = terminal
      .written()
      .split('\n')
      .filter((line) => line.length > columns && line.trim().includes(' '));
    expect(tooWide).toEqual([]);
    expect(terminal.written()).toContain('public.orders');
  });
});

describe('a budget', () => {
  test('ends a plan that exceeds it with exit code 3, and names the place', async ({ shop }) => {
    const { stdout, code } = await shop.plan('--trace', '--budget', 'rewrite-rows=999');
    expect(stdout).toContain(
      'over the budget:\n  migrations/002_token.sql:2  rewrites public.orders: 1,000 rows, allowed are 999 (rewrite-rows)\n',
    );
    expect(code).toBe(3);
  });

  test('lets a plan pass that keeps it', async ({ shop }) => {
    const limits = 'rewrite-rows=1k,scan-rows=1k,access-exclusive=5min';
    const { stdout, code } = await shop.plan('--trace', '--budget', limits);
    expect(stdout).toContain('\nwithin the budget\n');
    expect(code).toBe(0);
  });

  test('comes from the config file as well, and is told as data', async ({ shop, project }) => {
    await project.write('evdb.config.json', JSON.stringify({ budget: 'rewrite-rows=10' }));
    const result = await shop.plan('--trace', '--json');
    expect(parseJson(result)).toMatchObject({
      budget: { rewriteRows: 10, failsOnUnknown: false },
      findings: [
        {
          ...{ code: 'budget-rewrite-rows', severity: 'error', objects: ['public.orders'] },
          location: { file: 'migrations/002_token.sql', line: 2 },
          details: { limit: 'rewrite-rows', actual: 1000, allowed: 10, isMeasured: false },
        },
      ],
    });
    expect(result.code).toBe(3);
  });

  test('annotates the lines of a pull request', async ({ shop }) => {
    const { stdout, code } = await shop.plan('--budget', 'rewrite-rows=999', '--format', 'github');
    expect(stdout).toContain('::error file=migrations/002_token.sql,line=2');
    expect(stdout).toContain('rewrites public.orders: 1,000 rows');
    expect(code).toBe(3);
  });

  test('is refused where it cannot be read', async ({ shop }) => {
    const { stderr, code } = await shop.plan('--budget', 'rewrites=1');
    expect(stderr).toContain('error CONFIG_INVALID  the budget cannot be read: "rewrites=1"');
    expect(code).toBe(2);
  });
});

describe('a traced plan', () => {
  test('can be made on the embedded PostgreSQL', async ({ shop }) => {
    const { stdout, stderr, code } = await shop.plan('--trace-embedded');
    await runCli(['server', 'stop'], { cwd: shop.dir });
    expect(stdout).toContain('Traced in a scratch database on the embedded PostgreSQL');
    expect(stderr).toContain('`evdb server stop` ends it');
    expect(code).toBe(0);
  });

  test('on the target says what is not undone, and needs consent where it is protected', async ({
    shop,
    project,
  }) => {
    const { stdout, stderr, code } = await shop.plan('--trace-on-target');
    expect(stderr).toContain('warning  tracing on the target');
    expect(stderr).toContain('sequences');
    expect(stdout).toContain('Traced on the target itself, and rolled back.');
    expect(code).toBe(0);
    await project.write('evdb.config.json', JSON.stringify({ protected: true }));
    const refused = await shop.plan('--trace-on-target');
    expect(refused.stderr).toContain('error CONFIRM_REQUIRED');
    expect(refused.stderr).toContain('evdb migrate plan --trace-on-target --confirm');
    expect(refused.code).toBe(2);
    expect((await shop.plan('--trace-on-target', '--confirm')).code).toBe(0);
    expect((await shop.plan('--trace')).code).toBe(0);
  });

  test('fails where a traced statement does, and counts those that did', async ({
    shop,
    project,
  }) => {
    await project.migration('003_fails', 'select 1 / 0;\nselect 1;');
    const { stdout, code } = await shop.plan('--trace');
    expect(stdout).toContain('failed: division by zero');
    expect(stdout).toMatch(/\nThe trace of 1 statement failed\.\nNothing was changed\.\n$/);
    expect(code).toBe(3);
    expect(parseJson(await shop.plan('--trace', '--json'))).toMatchObject({
      ok: false,
      exitCode: 3,
    });
    const { stdout: report } = await shop.plan('--trace', '--format', 'github');
    expect(report).toContain('::error file=migrations/003_fails.sql,line=1');
  });

  test('leaves no database behind on Ctrl-C', async ({ shop, project, emptyDb }) => {
    await project.migration('003_slow', `select pg_sleep(61 /* ${emptyDb.name} */)`);
    const running = startCli(['migrate', 'plan', '--trace'], {
      cwd: shop.dir,
      env: { EVDB_URL: emptyDb.url },
    });
    const scratch = () => listScratchSessions(emptyDb.sql, emptyDb.name);
    await expect.poll(scratch, { timeout: 20_000 }).toHaveLength(1);
    const [{ datname } = {}] = await scratch();
    running.child.kill('SIGINT');
    expect((await running.result).code).toBe(130);
    expect(await emptyDb.sql`select from pg_database where datname = ${datname ?? ''}`).toEqual([]);
  });

  test('drops what a killed one has left', async ({ shop, project, emptyDb }) => {
    await project.migration('003_slow', `select pg_sleep(62 /* ${emptyDb.name} */)`);
    const running = startCli(['migrate', 'plan', '--trace'], {
      cwd: shop.dir,
      env: { EVDB_URL: emptyDb.url },
    });
    const scratch = () => listScratchSessions(emptyDb.sql, emptyDb.name);
    await expect.poll(scratch, { timeout: 20_000 }).toHaveLength(1);
    const [{ pid, datname } = {}] = await scratch();
    running.child.kill('SIGKILL');
    await running.result;
    await emptyDb.sql`select pg_terminate_backend(${pid ?? 0}, 10000)`;
    await project.migration('003_slow', 'select 1');
    expect((await shop.plan('--trace')).code).toBe(0);
    expect(await emptyDb.sql`select from pg_database where datname = ${datname ?? ''}`).toEqual([]);
  });
});
