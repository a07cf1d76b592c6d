import { expect } from 'vitest';
import { closeSql, openSql } from '../../support/databases.ts';
import { test as base } from '../../support/fixture.ts';
import { startHoldingProxy } from '../../support/holding-proxy.ts';
import { startCli } from '../../support/run-cli.ts';
import { findServerPrograms, type Pair, startPair } from './standby-stage.ts';

const test = base.extend<{ pair: Pair }>({
  pair: async ({ skip }, use) => {
    const programs = findServerPrograms();
    skip(programs === undefined, 'no installed PostgreSQL has pg_basebackup');
    const pair = await startPair(programs ?? '');
    await use(pair);
    await pair.remove();
  },
});

async function query(url: string, text: string) {
  const sql = openSql(url.split('?')[0] ?? '', 1);
  return sql.unsafe(text).finally(() => closeSql(sql));
}

for (const hasIt of [false, true]) {
  test(`says that it was ${hasIt ? '' : 'not '}applied where a standby that ${hasIt ? 'has' : 'lacks'} the commit was promoted`, async ({
    pair,
    project,
    onTestFinished,
  }) => {
    await project.migration('001_a', 'create table a ();', 'drop table a;');
    const first = startCli(['migrate', 'up'], {
      cwd: project.dir,
      env: { EVDB_URL: pair.primaryUrl },
    });
    expect(await first.result).toMatchObject({ code: 0 });
    await project.migration('002_b', 'create table b ();', 'drop table b;');
    await expect
      .poll(() => query(pair.standbyUrl, "select to_regclass('a') as a"), { timeout: 30_000 })
      .toEqual([{ a: 'a' }]);
    if (!hasIt) await pair.stopStreaming();

    const proxy = await startHoldingProxy(pair.primaryUrl);
    onTestFinished(proxy.close);
    const up = startCli(['migrate', 'up'], { cwd: project.dir, env: { EVDB_URL: proxy.url } });
    await proxy.held;
    const [committed] = await query(
      pair.primaryUrl,
      'select transaction_id::text as id from evdb.migration where version = 2',
    );
    if (hasIt) {
      await expect
        .poll(() => query(pair.standbyUrl, "select to_regclass('b') as b"), { timeout: 30_000 })
        .toEqual([{ b: 'b' }]);
    }
    await pair.promote();
    // the number of our transaction becomes that of somebody else's, which commits
    for (let round = 0; round < 20; round++) {
      await query(pair.standbyUrl, 'select pg_current_xact_id()');
    }
    const status = `select pg_xact_status('${committed?.id}') as status`;
    expect(await query(pair.standbyUrl, status)).toEqual([{ status: 'committed' }]);
    proxy.switchTo(pair.standbyUrl);

    const { code, stderr } = await up.result;
    expect(stderr).toContain(
      hasIt
        ? 'the connection was lost while 002_b committed; the server says that it was applied'
        : 'the server that answers now was promoted since, and there nothing was applied',
    );
    expect(code).toBe(4);
    const again = startCli(['migrate', 'up'], {
      cwd: project.dir,
      env: { EVDB_URL: pair.standbyUrl },
    });
    expect(await again.result).toMatchObject({ code: 0 });
    const rows = await query(pair.standbyUrl, 'select label from evdb.migration order by label');
    expect(rows.map(({ label }) => label)).toEqual(['001', '002']);
  });
}
