import { describe, expect, it } from 'vitest';
import { diffSnapshots } from '../../src/history/diff.ts';
import {
  decodeSnapshot,
  encodeSnapshot,
  parseSnapshotFile,
  renderSnapshotFile,
  type SnapshotServer,
  type StatsSnapshot,
} from '../../src/stats/snapshot-format.ts';

const [BEFORE, BETWEEN, AFTER] = ['2026-11-01', '2026-11-02', '2026-11-11'].map(
  (day) => `${day}T00:00:00.000Z`,
) as [string, string, string];

const server: SnapshotServer = {
  ...{ system: '7', timeline: '00000001', isStandby: false, database: 'shop', databaseOid: 5 },
  ...{ version: '18.4', user: 'seer', startedAt: '2026-10-01T00:00:00.000Z' },
  countedSince: '2026-10-02T00:00:00.000Z',
  statementsCountedSince: '2026-10-02T00:00:00.000Z',
  nextTransaction: '900',
};

function table(oid: number, facts: Partial<StatsSnapshot['tables'][number]> = {}) {
  const counters = { sequentialScans: 10, sequentialRows: 100, indexScans: 1000 };
  const changes = { inserted: 50, updated: 0, hotUpdated: 0, deleted: 0 };
  const sizes = { rows: 50, totalBytes: 8192, indexBytes: 0, deadRows: 0 };
  return { oid, schema: 'public', table: `t${oid}`, ...sizes, ...counters, ...changes, ...facts };
}

function index(oid: number, scans: number, facts: Partial<StatsSnapshot['indexes'][number]> = {}) {
  const names = { schema: 'public', table: 't1', index: `i${oid}` };
  return { oid, ...names, sizeBytes: 8192, scans, isValid: true, ...facts };
}

function statement(id: string, calls: number, totalMs: number) {
  const unused = { rows: 0, readBytes: 0, tempBytes: 0, walBytes: 0, countedSince: null };
  return { id, user: 'app', query: `select ${id}`, calls, totalMs, ...unused };
}

function snapshot(facts: Partial<StatsSnapshot> = {}): StatsSnapshot {
  return {
    ...{ takenAt: BEFORE, reason: 'requested', server, tables: [], indexes: [] },
    ...{ statements: [], sequences: [], settings: {}, findings: [], notes: [] },
    ...facts,
  };
}

const later = (facts: Partial<StatsSnapshot>, on: Partial<SnapshotServer> = {}) =>
  snapshot({ takenAt: AFTER, ...facts, server: { ...server, ...on } });

describe('a diff', () => {
  it('names what got slower by the mean of the time in between, worst first', () => {
    const before = snapshot({
      statements: [statement('a', 1000, 1000), statement('b', 1000, 1000), statement('c', 9, 9)],
    });
    const after = later({
      statements: [
        statement('a', 1100, 1400),
        statement('b', 2000, 2100),
        statement('c', 19, 1009),
        statement('d', 3, 5000),
      ],
    });
    expect(diffSnapshots(before, after).queries).toMatchObject([
      { change: 'new', query: 'select d', meanBeforeMs: null, calls: 3 },
      { change: 'slower', query: 'select c', meanBeforeMs: 1, meanMs: 100, extraMs: 990 },
      { change: 'slower', query: 'select a', meanBeforeMs: 1, meanMs: 4, calls: 100 },
    ]);
  });

  it('names indexes that began or ceased to be used, by what could be expected', () => {
    const old = [index(1, 0), index(2, 900), index(3, 4), index(4, 900), index(5, 1)];
    const now = [index(1, 3), index(2, 900), index(3, 4), index(4, 901), index(6, 0)];
    const { indexes } = diffSnapshots(snapshot({ indexes: old }), later({ indexes: now }));
    expect(indexes.map((one) => [one.index, one.change, one.scans])).toEqual([
      ['i1', 'began', 3],
      ['i2', 'ceased', 0],
      ['i6', 'created', 0],
      ['i5', 'dropped', 0],
    ]);
  });

  it('names settings, and findings that are new or gone but not those that are unknown', () => {
    const finding = (
      code: string,
      object: string,
      severity = 'warning' as 'warning' | 'unknown',
    ) => ({
      ...{ code, severity, objects: [object], message: `${code} of ${object}` },
    });
    const before = snapshot({
      settings: { work_mem: '4MB', jit: 'off' },
      findings: [finding('dead-rows', 'a'), finding('wraparound', 'x', 'unknown')],
    });
    const after = later({
      settings: { work_mem: '8MB', fsync: 'off' },
      findings: [finding('dead-rows', 'b'), finding('wraparound', 'y')],
    });
    const { settings, findings } = diffSnapshots(before, after);
    expect(settings).toEqual([
      { setting: 'fsync', before: null, after: 'off' },
      { setting: 'jit', before: 'off', after: null },
      { setting: 'work_mem', before: '4MB', after: '8MB' },
    ]);
    expect(findings.map(({ change, objects }) => [change, ...objects])).toEqual([
      ['new', 'b'],
      ['gone', 'a'],
    ]);
  });
});

describe('counters that begin anew', () => {
  const before = snapshot({
    tables: [table(1), table(2)],
    indexes: [index(1, 900), index(2, 900)],
    statements: [statement('a', 1000, 1000)],
  });
  const reread = { sequentialScans: 20, sequentialRows: 100_000, indexScans: 0 };

  it('count from a reset, which is told', () => {
    const after = later(
      {
        tables: [table(1, { ...reread, sequentialScans: 9 }), table(2, { ...reread, inserted: 0 })],
        indexes: [index(1, 5), index(2, 0)],
        statements: [statement('a', 10, 5000)],
      },
      { countedSince: BETWEEN, statementsCountedSince: BETWEEN },
    );
    const diff = diffSnapshots(before, after);
    expect(diff.notes.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^the counters were reset at 2026-11-0\d .*: they count from there$/),
      expect.stringMatching(/^pg_stat_statements was reset at /),
    ]);
    expect(diff.scans).toMatchObject([{ table: 't2', sequentialScans: 20, shareAfter: 1 }]);
    expect(diff.queries).toMatchObject([{ calls: 10, meanMs: 500, extraMs: 4990 }]);
    expect(diff.indexes).toMatchObject([{ index: 'i2', change: 'ceased', scans: 0 }]);
    for (const { scans } of diff.indexes) expect(scans).toBeGreaterThanOrEqual(0);
  });

  it('show a crash by a restart, though the server tells no reset', () => {
    const lost = { tables: [table(1, { inserted: 0 }), table(2, { inserted: 0 })] };
    const crashed = diffSnapshots(before, later({ ...lost, indexes: [] }, { startedAt: BETWEEN }));
    expect(crashed.notes[0]?.text).toMatch(
      /restarted at .* and lost its counters, as after a crash/,
    );
    const kept = { tables: before.tables, indexes: before.indexes };
    const clean = diffSnapshots(before, later(kept, { startedAt: BETWEEN }));
    expect(clean.notes).toMatchObject([
      { level: 'info', text: expect.stringMatching(/^the server was restarted at .* kept its/) },
    ]);
  });

  it('are told by one table alone, as the server gives that the time of all', () => {
    const after = later(
      { tables: [table(1, { inserted: 3 }), table(2)], indexes: [index(1, 905), index(2, 905)] },
      { countedSince: BETWEEN },
    );
    const diff = diffSnapshots(before, after);
    expect(diff.notes[0]?.text).toMatch(/^the counters of 1 table or index were reset at/);
    expect(diff.indexes).toEqual([]);
  });

  it.each<[string, Partial<SnapshotServer>, RegExp]>([
    ['another server', { system: '8' }, /different servers/],
    ['another database', { databaseOid: 6 }, /different databases/],
    ['a standby', { isStandby: true, timeline: null }, /of a standby/],
    ['a promoted standby', { timeline: '00000002' }, /promoted/],
    ['an upgraded server', { version: '19.0' }, /upgraded from 18.4 to 19.0/],
  ])('are not compared with those of %s; sizes are', (_, other, why) => {
    const tables = [table(1, { totalBytes: 99 * 1024 ** 2, sequentialScans: 99 }), table(2)];
    const after = later({ tables, indexes: [index(1, 0), index(2, 0)] }, other);
    const diff = diffSnapshots(before, { ...after, statements: [statement('a', 2000, 900_000)] });
    expect(diff.notes[0]?.text).toMatch(why);
    expect(diff).toMatchObject({ queries: [], scans: [], indexes: [] });
    expect(diff.tables).toMatchObject([{ table: 't1', change: 'grown' }]);
  });
});

describe('a snapshot', () => {
  const base = snapshot({
    tables: [table(1), table(2), table(3)],
    indexes: [index(1, 1)],
    sequences: [{ sequence: 'public.s', lastValue: '9223372036854775807' }],
    statements: null,
  });

  it('is packed whole, or beside another one of which little changed', () => {
    expect(decodeSnapshot(encodeSnapshot(base))).toEqual(base);
    const next = later({
      tables: [table(1), table(3, { table: 'renamed', deadRows: 4 }), table(4)],
      indexes: [index(1, 2)],
      sequences: base.sequences,
      statements: [statement('a', 1, 1)],
    });
    const packed = encodeSnapshot(next, base);
    const read = decodeSnapshot(packed, base);
    const byOid = (one: StatsSnapshot) => one.tables.toSorted((a, b) => a.oid - b.oid);
    expect({ ...read, tables: byOid(read) }).toEqual(next);
    const many = snapshot({ tables: Array.from({ length: 500 }, (_, at) => table(at)) });
    const few = later({ tables: many.tables.with(7, table(7, { deadRows: 1 })) });
    expect(encodeSnapshot(few, many).length).toBeLessThan(encodeSnapshot(few).length / 3);
  });

  it('is read from a file, and nothing else is', () => {
    expect(parseSnapshotFile(renderSnapshotFile(base), 'a.json')).toEqual(base);
    expect(() => parseSnapshotFile('{"evdbSnapshot":2}', 'a.json')).toThrow('of a newer evdb');
    for (const text of ['', '[]', '{}', 'null']) {
      expect(() => parseSnapshotFile(text, 'a.json')).toThrow('a.json is not a snapshot of evdb');
    }
  });
});
