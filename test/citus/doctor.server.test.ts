import { describe, expect } from 'vitest';
import { withInspection } from '../../src/connection/inspection.ts';
import { runDoctor } from '../../src/index.ops.ts';
import { test as onPlainServer } from '../support/migrate-kit.ts';
import { test } from './kit.ts';

const NAMES = ['citus-nodes', 'citus-shards', 'citus-rebalance', 'citus-transactions'];
const examine = (connection: Parameters<typeof withInspection>[0], only?: string[]) =>
  withInspection(connection, (session) => runDoctor(session, { only }));

describe('doctor', () => {
  test('finds nothing on a sound cluster', async ({ cluster }) => {
    await cluster.sql.unsafe(`create table orders (a bigint);
      select create_distributed_table('orders', 'a');`);
    const { checks, findings } = await examine(cluster.options.connection, ['cluster']);
    expect(checks.map(({ check, status }) => `${check} ${status}`)).toEqual(
      NAMES.map((name) => `${name} ok`),
    );
    expect(findings).toEqual([]);
  });

  test('finds nodes, shards, rebalances and transactions that need somebody', async ({
    cluster,
  }) => {
    await cluster.sql
      .unsafe(`create table orders (a bigint);
        select create_distributed_table('orders', 'a');
        delete from pg_dist_placement where shardid = 102008;
        insert into pg_dist_node (nodeid, groupid, nodename, isactive) values (2, 2, 'worker1', false);
        insert into pg_dist_node (nodeid, groupid, nodename, metadatasynced) values (3, 3, 'worker2', false);
        insert into stand_in_rebalance values ('orders', 102009, 2097152, 'worker1', 5432, 'worker2', 5432);
        insert into pg_dist_background_job values (7, 'failed', 'rebalance', 'Rebalance all colocation groups');
        insert into stand_in_activity (global_pid, nodeid, usename, xact_start, state)
        values (20000001234, 2, 'reporter', now() - interval '13 hours', 'active');`)
      .simple();
    const { findings } = await examine(cluster.options.connection, ['cluster']);
    expect(
      findings.map(({ code, severity, message, fix }) => ({ code, severity, message, fix })),
    ).toMatchObject([
      {
        ...{ code: 'citus-nodes', severity: 'warning', message: 'node worker1:5432 is not active' },
        fix: "select citus_activate_node('worker1', 5432);",
      },
      {
        code: 'citus-nodes',
        message: expect.stringContaining('node worker2:5432 does not have the metadata'),
      },
      {
        ...{ code: 'citus-shards', severity: 'error' },
        message: '1 shard of public.orders on no node: the rows cannot be read',
      },
      { code: 'citus-rebalance', message: expect.stringContaining('background job 7 failed') },
      { code: 'citus-rebalance', fix: 'select citus_rebalance_start();' },
      {
        ...{ code: 'citus-transactions', severity: 'error' },
        fix: 'select pg_terminate_backend(20000001234);',
      },
    ]);
  });

  onPlainServer(
    'leaves them out on a plain server, unless they are asked for',
    async ({ stage }) => {
      const { connection } = stage.options;
      const all = await examine(connection);
      expect(all.checks.filter(({ group }) => group === 'cluster')).toEqual([]);
      const asked = await examine(connection, ['cluster']);
      expect(asked.checks.map(({ status }) => status)).toEqual(NAMES.map(() => 'skipped'));
    },
  );
});
