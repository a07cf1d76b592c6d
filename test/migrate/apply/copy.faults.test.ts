import { expect } from 'vitest';
import type { TestDatabase } from '../../support/fixture.ts';
import { startProxy } from '../../support/proxy.ts';
import { startCli } from '../../support/run-cli.ts';
import { test } from './apply-kit.ts';

/** A copy that a trigger holds up in its middle, with as many rows behind it as a large file has. */
function slowCopy(count: number): string {
  const rows = Array.from({ length: count }, (_, n) => `${n}\t${'x'.repeat(100)}\n`).join('');
  return `create table events (id integer, name text);
create function pause() returns trigger language plpgsql as $$ begin
  if new.id = 500 then perform pg_sleep(seconds) from test.pace; end if; return new; end $$;
create trigger pause before insert on events for each row execute function pause();
copy events from stdin;
${rows}\\.
`;
}

const SMALL = 1000;
const LARGE = 120_000;

async function nothingIsLeft({ sql }: TestDatabase): Promise<void> {
  expect(await sql`select to_regclass('public.events') as events`).toEqual([{ events: null }]);
  expect(await sql`select label from evdb.migration`).toEqual([{ label: '001' }]);
  await expect
    .poll(
      () => sql`
        select pid from pg_stat_activity
        where datname = current_database() and query ilike 'copy%' and state <> 'idle'`,
    )
    .toEqual([]);
}

test.for([
  ['small', SMALL],
  ['large', LARGE],
] as const)(
  'leaves nothing where the backend is terminated amid a copy of a %s file',
  async ([, count], { paced, project }) => {
    await project.migration('002_events', slowCopy(count), 'drop table events;');
    const running = paced.start('migrate', 'up');
    const pid = await paced.isInTheMiddle();
    await paced.db.sql`select pg_terminate_backend(${pid})`;
    const { code, stderr } = await running.result;
    expect(stderr).toContain('error CONNECTION_LOST  ');
    expect(stderr).toContain('nothing of it was applied');
    expect(code).toBe(4);
    await nothingIsLeft(paced.db);
    await paced.speedUp();
    expect(await paced.evdb('migrate', 'up')).toMatchObject({ code: 0 });
    expect(await paced.db.sql`select count(*)::int as n from events`).toEqual([{ n: count }]);
  },
);

test.for([
  ['small', SMALL],
  ['large', LARGE],
] as const)(
  'rolls back on Ctrl-C amid a copy of a %s file',
  async ([, count], { paced, project }) => {
    await project.migration('002_events', slowCopy(count), 'drop table events;');
    const running = paced.start('migrate', 'up');
    await paced.isInTheMiddle();
    running.child.kill('SIGINT');
    const { code, signal, stderr } = await running.result;
    expect(stderr).toContain('error INTERRUPTED  ');
    expect(stderr).not.toMatch(/^\s+at .+[:(]/m);
    expect({ code, signal }).toEqual({ code: 130, signal: null });
    await nothingIsLeft(paced.db);
    expect(await paced.locks()).toBe(0);
  },
);

test('says so where the connection breaks amid the rows', async ({
  paced,
  project,
  onTestFinished,
}) => {
  const proxy = await startProxy(paced.db.url);
  onTestFinished(proxy.close);
  await project.migration('002_events', slowCopy(LARGE), 'drop table events;');
  const options = { cwd: paced.dir, env: { EVDB_URL: proxy.url } };
  const running = startCli(['migrate', 'up'], options);
  await paced.isInTheMiddle();
  await proxy.close();
  const { code, stderr } = await running.result;
  expect(stderr).toContain('error CONNECTION_LOST  ');
  expect(stderr).not.toMatch(/^\s+at .+[:(]/m);
  expect(code).toBe(4);
});

test('tells a row that the server refuses while more rows are on their way', async ({
  project,
  emptyDb,
}) => {
  const rows = Array.from(
    { length: LARGE },
    (_, n) => `${n === 70_000 ? 'x' : n}\t${'x'.repeat(100)}\n`,
  );
  await project.migration(
    '001_events',
    `create table events (id integer, name text);\ncopy events from stdin;\n${rows.join('')}\\.\n`,
  );
  const options = { cwd: project.dir, env: { EVDB_URL: emptyDb.url } };
  const { code, stderr } = await startCli(['migrate', 'up'], options).result;
  expect(stderr).toContain('001_events.sql:70003:1');
  expect(stderr).toContain('invalid input syntax for type integer: "x"');
  expect(code).toBe(1);
});
