import { describe, expect, it } from 'vitest';
import { alignDistributions } from '../../src/citus/compare.ts';
import {
  type DistributionRow,
  describeDistributions,
  renderDistribution,
} from '../../src/citus/distribution.ts';
import { callModel, isAboutExtension, saysDistribution } from '../../src/citus/model.ts';

const row = (oid: number, name: string, more: Partial<DistributionRow> = {}): DistributionRow => ({
  ...{ oid, name, isSchema: false, method: 'h', column: 'tenant_id', colocation: 1 },
  ...{ replication: 's', shards: 32 },
  ...more,
});
const reference = { method: 'n', column: null, colocation: 7, replication: 't', shards: 1 };
const single = { method: 'n', column: null, colocation: 8, replication: 's', shards: 1 };

describe('how tables are distributed', () => {
  it('is said by the first of those that are colocated, and the others name it', () => {
    const rows = [
      row(1, 'public.orders'),
      row(2, 'public.accounts'),
      row(3, 'public.apart', { colocation: 2, shards: 1 }),
      row(4, 'public.countries', reference),
      row(5, 'public.lonely', single),
      row(6, 'public.settings', { ...single, colocation: 0 }),
      row(7, 'tenant_1', { isSchema: true, method: null, column: null, colocation: 9 }),
      row(8, 'public.logs', { method: 'a', column: 'at', colocation: 3, shards: null }),
    ];
    expect(Object.fromEntries(describeDistributions(rows))).toEqual({
      1: 'hash (tenant_id), with public.accounts',
      2: 'hash (tenant_id), 32 shards',
      3: 'hash (tenant_id), 1 shard',
      4: 'reference',
      5: 'single shard',
      6: 'local',
      7: 'tenant',
      8: 'append (at)',
    });
  });

  it.each([
    [
      'hash (tenant_id), 32 shards',
      "create_distributed_table('public.t', 'tenant_id', colocate_with => 'none', shard_count => 32)",
    ],
    [
      'hash (a, (b)), with public."O""s"',
      "create_distributed_table('public.t', 'a, (b)', colocate_with => 'public.\"O\"\"s\"')",
    ],
    ['range (at)', "create_distributed_table('public.t', 'at', 'range', colocate_with => 'none')"],
    ['single shard', "create_distributed_table('public.t', null, colocate_with => 'none')"],
    [
      'single shard, with public.s',
      "create_distributed_table('public.t', null, colocate_with => 'public.s')",
    ],
    ['reference', "create_reference_table('public.t')"],
    ['local', "citus_add_local_table_to_metadata('public.t')"],
    ['tenant', "citus_schema_distribute('public.t')"],
  ])('%s is written as a call', (words, call) => {
    expect(renderDistribution('public.t', words)?.statement).toBe(`select ${call};`);
  });

  it('is not guessed from words that are not known', () => {
    expect(renderDistribution('public.t', 'spread by magic')).toBeUndefined();
  });
});

describe('a statement for a scratch database', () => {
  it.each([
    [
      'select',
      "select create_distributed_table('t', 'a')",
      "select evdb_citus.create_distributed_table('t', 'a')",
    ],
    [
      'select',
      "SELECT pg_catalog.create_reference_table('t')",
      "SELECT evdb_citus.create_reference_table('t')",
    ],
    [
      'do',
      "do $$ begin perform create_reference_table('t'); end $$",
      "do $$ begin perform evdb_citus.create_reference_table('t'); end $$",
    ],
    ['select', "select my.create_reference_table('t')", undefined],
    ['select', 'select recreate_reference_table()', undefined],
    [
      'create function',
      "create function f() returns void language sql as $$ select create_reference_table('t') $$",
      undefined,
    ],
  ])('%s: %s', (command, text, expected) => {
    expect(saysDistribution({ command, text })).toBe(expected !== undefined);
    if (expected !== undefined) expect(callModel(text)).toBe(expected);
  });

  it.each([
    ['create extension', 'create extension if not exists citus', true],
    ['create extension', 'create extension citus_columnar', true],
    ['create extension', 'create extension citext', false],
    ['create table', 'create table citus (id int)', false],
  ])('%s: %s is left out: %s', (command, text, expected) => {
    expect(isAboutExtension({ command, text })).toBe(expected);
  });
});

describe('two structures, one of them made in a scratch database', () => {
  const object = (kind: string, name: string, distribution?: string) => ({
    ...{ kind, name, own: name },
    parts: distribution === undefined ? {} : { distribution },
  });
  const cluster = {
    objects: [
      object('extension', 'citus'),
      object('schema', 'tenant_1', 'tenant'),
      object('table', 'orders', 'hash (a), 16 shards'),
    ],
  };

  it('are compared without what only a cluster says', () => {
    const scratch = {
      objects: [object('schema', 'tenant_1'), object('table', 'orders', 'hash (a)')],
    };
    const [from, to] = alignDistributions(scratch, cluster, false);
    expect(to).toEqual(from);
  });

  it('still differ in the column, and in a count that the migrations say', () => {
    for (const said of ['hash (b)', 'hash (a), 32 shards', 'reference']) {
      const scratch = { objects: [object('table', 'orders', said)] };
      const [from, to] = alignDistributions(scratch, cluster, false);
      expect(to.objects.find(({ name }) => name === 'orders')).not.toEqual(from.objects[0]);
    }
  });

  it('are as they are where both were read from clusters', () => {
    expect(alignDistributions(cluster, cluster, true)).toEqual([cluster, cluster]);
  });
});
