import { describe, expect, it } from 'vitest';
import type { DoctorFinding } from '../../src/doctor/check.ts';
import {
  judgeBusinessRules,
  judgeDisabledTriggers,
  judgeMigrations,
  judgeUnauditedColumns,
} from '../../src/doctor/integrity.ts';
import { judgeLag, judgeSlots } from '../../src/doctor/replication.ts';
import { judgeWraparound } from '../../src/doctor/runways.ts';
import { judgeConnectionLimit, judgeDurability } from '../../src/doctor/server.ts';
import {
  judgeIdleInTransaction,
  judgeLockWaits,
  judgeLongTransactions,
  judgePreparedTransactions,
} from '../../src/doctor/sessions.ts';
import { judgeAutovacuum, judgeDeadRows, judgeStaleStatistics } from '../../src/doctor/vacuum.ts';
import type { ActivityRow } from '../../src/stats/activity.ts';
import type { LockRow } from '../../src/stats/locks.ts';
import type { ReplicationRow } from '../../src/stats/replication.ts';
import type { VacuumRow } from '../../src/stats/vacuum.ts';
import { told } from './told.ts';

const statuses = (findings: DoctorFinding[]) => told(findings).map(({ status }) => status);
const [SECOND, MINUTE, HOUR, GIB] = [1000, 60_000, 3_600_000, 1024 ** 3];

describe('connection-limit', () => {
  const limits = (taken: number, usable: number) => ({
    maxConnections: usable,
    superuserReserved: 0,
    reserved: 0,
    usable,
    taken,
    own: [],
  });

  it.each([
    [79, []],
    [80, ['warning']],
    [94, ['warning']],
    [95, ['critical']],
    [101, ['critical']],
  ])('with %i of 100 is %j', (taken, expected) => {
    expect(statuses(judgeConnectionLimit(limits(taken, 100)))).toEqual(expected);
  });

  it('looks at the limits of databases and users, but not at those that keep all out', () => {
    const own = [
      { kind: 'database' as const, name: 'shop', limit: 10, taken: 8 },
      { kind: 'user' as const, name: 'Odd "one"', limit: 10, taken: 10 },
      { kind: 'user' as const, name: 'locked', limit: 0, taken: 0 },
      { kind: 'user' as const, name: 'calm', limit: 10, taken: 7 },
    ];
    expect(told(judgeConnectionLimit({ ...limits(5, 100), own }))).toMatchObject([
      { status: 'warning', object: 'database shop' },
      {
        status: 'critical',
        object: 'user Odd "one"',
        fix: 'alter user "Odd ""one""" connection limit 20;',
      },
    ]);
  });
});

describe('sessions', () => {
  const session = (facts: Partial<ActivityRow>): ActivityRow => ({
    pid: 7,
    leaderPid: null,
    database: 'shop',
    user: 'app',
    application: 'api',
    client: null,
    backendType: 'client backend',
    state: 'active',
    statement: null,
    isHidden: false,
    statementMs: null,
    stateMs: null,
    transactionStart: null,
    transactionMs: null,
    waitsFor: null,
    snapshotAge: null,
    ...facts,
  });

  it.each([
    [MINUTE - 1, []],
    [MINUTE, ['warning']],
    [15 * MINUTE - 1, ['warning']],
    [15 * MINUTE, ['critical']],
  ])('that are idle in a transaction for %i ms are %j', (stateMs, expected) => {
    for (const state of ['idle in transaction', 'idle in transaction (aborted)']) {
      const row = session({ state, stateMs, transactionMs: HOUR });
      expect(statuses(judgeIdleInTransaction([row]))).toEqual(expected);
      expect(judgeLongTransactions([row])).toEqual([]);
    }
    expect(judgeIdleInTransaction([session({ state: 'idle', stateMs })])).toEqual([]);
  });

  it('that are idle in a transaction are named with what ends them', () => {
    const row = session({ state: 'idle in transaction', stateMs: 20 * MINUTE });
    expect(told(judgeIdleInTransaction([row]))).toEqual([
      {
        status: 'critical',
        object: 'app',
        reason: 'api of app (pid 7) has been idle in a transaction for 20 min',
        fix: expect.stringContaining('select pg_terminate_backend(7);'),
      },
    ]);
  });

  it.each([
    [10 * MINUTE - 1, []],
    [10 * MINUTE, ['warning']],
    [12 * HOUR, ['critical']],
  ])('with a transaction of %i ms at work are %j', (transactionMs, expected) => {
    expect(statuses(judgeLongTransactions([session({ transactionMs })]))).toEqual(expected);
  });

  it('of vacuum, and workers of others, are no long transactions', () => {
    const transactionMs = 13 * HOUR;
    expect(
      judgeLongTransactions([
        session({ transactionMs, backendType: 'autovacuum worker' }),
        session({ transactionMs, backendType: 'parallel worker', leaderPid: 5 }),
        session({ transactionMs, backendType: null, isHidden: true }),
      ]),
    ).toEqual([]);
  });
});

describe('lock-waits', () => {
  const row = (depth: number, facts: Partial<LockRow>): LockRow => ({
    depth,
    path: '',
    pid: 1,
    gid: null,
    user: 'app',
    application: null,
    client: null,
    database: null,
    backendType: null,
    state: 'idle in transaction',
    statement: null,
    isHidden: false,
    transactionStart: null,
    transactionMs: null,
    waitingSince: null,
    waitMs: null,
    wantedMode: null,
    heldMode: null,
    lockType: null,
    object: null,
    blockedBy: [],
    blockedCount: 0,
    isQueued: false,
    isRepeated: false,
    ...facts,
  });

  it.each([
    [5 * SECOND - 1, 1, []],
    [5 * SECOND, 1, ['warning']],
    [MINUTE - 1, 9, ['warning']],
    [MINUTE, 1, ['critical']],
    [1, 10, ['critical']],
  ])('of %i ms by %i sessions are %j', (waitMs, blockedCount, expected) => {
    const rows = [row(0, { blockedCount }), row(1, { waitMs, object: 'public.events' })];
    expect(statuses(judgeLockWaits(rows))).toEqual(expected);
  });

  it('are told for each cause, with the longest of its own waiters', () => {
    const findings = judgeLockWaits([
      row(0, { pid: 1, blockedCount: 2 }),
      row(1, { waitMs: 4 * SECOND }),
      row(2, { waitMs: 30 * SECOND, object: 'public.events' }),
      row(0, { pid: 0, gid: "it's", user: null, blockedCount: 1, state: 'prepared' }),
      row(1, { waitMs: 2 * MINUTE }),
      row(0, { pid: 5, blockedCount: 1 }),
      row(1, { waitMs: SECOND }),
    ]);
    expect(told(findings)).toMatchObject([
      { status: 'warning', reason: expect.stringMatching(/^2 sessions wait up to 30 s for pid 1/) },
      { status: 'critical', fix: "rollback prepared 'it''s';" },
    ]);
  });
});

describe('prepared-transactions', () => {
  it.each([
    [5 * MINUTE - 1, []],
    [5 * MINUTE, ['warning']],
    [HOUR, ['critical']],
  ])('of %i ms are %j', (ageMs, expected) => {
    const one = {
      transaction: '7',
      gid: 'paid',
      owner: 'app',
      database: 'shop',
      preparedAt: new Date(),
      ageMs,
    };
    expect(statuses(judgePreparedTransactions([one]))).toEqual(expected);
  });
});

const aged = (facts: Partial<VacuumRow>): VacuumRow => ({
  kind: 'table',
  schema: 'public',
  name: 'log',
  xidAge: 0,
  freezeMaxAge: 200_000_000,
  xidsLeft: 2_000_000_000,
  multixactAge: 0,
  multixactFreezeMaxAge: 400_000_000,
  multixactsLeft: 2_000_000_000,
  isAutovacuumOff: false,
  lastVacuumAt: null,
  running: null,
  ...facts,
});

describe('wraparound', () => {
  it.each([
    [{ xidAge: 300_000_000 }, []],
    [{ xidAge: 300_000_001 }, ['warning']],
    [{ xidAge: 1, xidsLeft: 500_000_000 }, []],
    [{ xidAge: 1, xidsLeft: 499_999_999 }, ['critical']],
    [{ multixactAge: 600_000_001 }, ['warning']],
    [{ multixactsLeft: 499_999_999 }, ['critical']],
    [{ xidAge: null, xidsLeft: null }, []],
  ])('with %j is %j', (facts, expected) => {
    expect(statuses(judgeWraparound([aged(facts)]))).toEqual(expected);
  });

  it('names what to vacuum', () => {
    const old = { xidAge: 400_000_000, name: 'my "log"' };
    expect(told(judgeWraparound([aged(old)]))[0]).toMatchObject({
      object: 'public.my "log"',
      fix: expect.stringContaining('vacuum (freeze) "public"."my ""log""";'),
    });
    const database = aged({ ...old, kind: 'database', schema: null, name: 'shop' });
    expect(judgeWraparound([database])[0]?.fix).toContain('in database shop');
  });
});

describe('autovacuum', () => {
  it('is critical where it is off for all, and a warning for a table', () => {
    expect(judgeAutovacuum({ isAutovacuumOn: true, rows: [aged({})] })).toEqual([]);
    const rows = [aged({ isAutovacuumOff: true })];
    expect(statuses(judgeAutovacuum({ isAutovacuumOn: false, rows }))).toEqual([
      'critical',
      'warning',
    ]);
    expect(told(judgeAutovacuum({ isAutovacuumOn: true, rows }))).toMatchObject([
      { object: 'public.log', fix: 'alter table "public"."log" reset (autovacuum_enabled);' },
    ]);
  });
});

describe('upkeep', () => {
  const table = (facts: object) => ({
    schema: 'public',
    table: 'log',
    liveRows: 100_000,
    deadRows: 0,
    vacuumAt: 20_000,
    changedSinceAnalyze: 0,
    analyzeAt: 10_000,
    ...facts,
  });

  it.each([
    [{ deadRows: 40_000 }, 0],
    [{ deadRows: 40_001 }, 1],
    [{ deadRows: 9_999, vacuumAt: 50 }, 0],
    [{ deadRows: 10_000, vacuumAt: 50 }, 1],
  ])('with %j dead rows gives %i findings', (facts, count) => {
    expect(judgeDeadRows([table(facts)])).toHaveLength(count);
  });

  it.each([
    [{ changedSinceAnalyze: 20_000 }, 0],
    [{ changedSinceAnalyze: 20_001 }, 1],
    [{ changedSinceAnalyze: 9_999, analyzeAt: 50 }, 0],
    [{ changedSinceAnalyze: 10_000, analyzeAt: 50 }, 1],
  ])('with %j changed rows gives %i findings', (facts, count) => {
    expect(judgeStaleStatistics([table(facts)])).toHaveLength(count);
  });
});

describe('replication', () => {
  const row = (facts: Partial<ReplicationRow>): ReplicationRow => ({
    kind: 'slot',
    name: 'a',
    state: 'inactive',
    isActive: false,
    isHidden: false,
    type: 'physical',
    database: null,
    pid: null,
    client: null,
    retainedBytes: 0,
    safeBytes: null,
    lagBytes: null,
    lagMs: null,
    inactiveSince: null,
    snapshotAge: null,
    ...facts,
  });
  const active = { isActive: true, state: 'active' };

  it.each([
    [{}, ['warning']],
    [{ retainedBytes: 10 * GIB - 1 }, ['warning']],
    [{ retainedBytes: 10 * GIB }, ['critical']],
    [{ safeBytes: GIB }, ['warning']],
    [{ safeBytes: GIB - 1 }, ['critical']],
    [{ ...active, retainedBytes: 10 * GIB - 1 }, []],
    [{ ...active, retainedBytes: 10 * GIB }, ['critical']],
    [{ ...active, safeBytes: GIB - 1 }, ['critical']],
    [{ state: 'lost' }, ['critical']],
    [{ state: 'invalid: wal_removed' }, ['critical']],
    [{ kind: 'standby' as const }, []],
  ])('slot with %j is %j', (facts, expected) => {
    expect(statuses(judgeSlots([row(facts)]))).toEqual(expected);
  });

  it.each([
    [{ lagMs: 30 * SECOND - 1, lagBytes: GIB / 4 - 1 }, []],
    [{ lagMs: 30 * SECOND }, ['warning']],
    [{ lagMs: 5 * MINUTE - 1 }, ['warning']],
    [{ lagMs: 5 * MINUTE }, ['critical']],
    [{ lagBytes: GIB / 4 }, ['warning']],
    [{ lagBytes: 4 * GIB }, ['critical']],
    [{ state: 'catchup' }, []],
    [{ kind: 'backup' as const, state: 'backup' }, []],
    [{ kind: 'subscriber' as const, state: 'startup' }, ['warning']],
    [{ state: 'startup' }, ['warning']],
    [{ isHidden: true, state: null, lagMs: null }, []],
    [{ kind: 'slot' as const, lagBytes: 5 * GIB }, []],
  ])('stream with %j is %j', (facts, expected) => {
    const stream = row({ kind: 'standby', state: 'streaming', ...facts });
    expect(statuses(judgeLag([stream]))).toEqual(expected);
  });
});

describe('the other judgements', () => {
  it('take settings that endanger data for what they are', () => {
    const good = { fsync: 'on', full_page_writes: 'on', synchronous_commit: 'local' };
    expect(judgeDurability({ ...good, zero_damaged_pages: 'off' })).toEqual([]);
    const bad = {
      fsync: 'off',
      full_page_writes: 'off',
      synchronous_commit: 'off',
      zero_damaged_pages: 'on',
      ignore_checksum_failure: 'on',
    };
    expect(told(judgeDurability(bad)).map(({ status, object }) => `${object} ${status}`)).toEqual([
      'fsync critical',
      'full_page_writes critical',
      'synchronous_commit warning',
      'zero_damaged_pages critical',
      'ignore_checksum_failure critical',
    ]);
    expect(judgeDurability({ synchronous_commit: undefined })).toEqual([]);
  });

  it('tell a disabled foreign key once, and worse than a disabled trigger', () => {
    const of = (trigger: string, constraint: string | null) => ({
      schema: 'public',
      table: 'seats',
      trigger,
      constraint,
    });
    const rows = [
      of('RI_1', 'seats_event_fkey'),
      of('RI_2', 'seats_event_fkey'),
      of('audit', null),
    ];
    expect(told(judgeDisabledTriggers(rows))).toMatchObject([
      { status: 'critical', object: 'public.seats.seats_event_fkey' },
      {
        status: 'warning',
        object: 'public.seats.audit',
        fix: 'alter table "public"."seats" enable trigger "audit";',
      },
    ]);
  });

  it('take broken rules as seriously as the rules themselves', () => {
    const rule = (severity: 'error' | 'warning', repair: string | null) => ({
      code: 'seats',
      severity,
      message: 'd',
      objects: [],
      ...(repair !== null && { fix: repair }),
      details: { count: 2, sampleIds: [] },
    });
    expect(
      told(judgeBusinessRules([rule('error', null), rule('warning', 'select 1')])),
    ).toMatchObject([
      { status: 'critical', fix: null },
      { status: 'warning', fix: expect.stringContaining('evdb rules repair seats') },
    ]);
  });

  it('tell migrations that are not as they should be', () => {
    expect(judgeMigrations({ counts: { applied: 5, reworded: 1 } })).toEqual([]);
    const counts = {
      pending: 1,
      outOfOrder: 2,
      incomplete: 1,
      changed: 3,
      missing: 1,
      ahead: 1,
    };
    expect(
      told(judgeMigrations({ counts })).map(({ object, status }) => `${object} ${status}`),
    ).toEqual([
      'pending warning',
      'out-of-order warning',
      'incomplete critical',
      'changed critical',
      'missing critical',
      'ahead warning',
    ]);
  });
});

describe('unaudited-columns', () => {
  it('warns of a column that nobody watches, and is critical where a secret lost its name', () => {
    const where = { schema: 'odd "one"', table: `o'tickets` };
    expect(
      told(
        judgeUnauditedColumns([
          { ...where, column: 'seat', problem: 'unwatched' },
          { ...where, column: 'note', problem: 'unknown' },
        ]),
      ),
    ).toMatchObject([
      {
        status: 'warning',
        object: `odd "one".o'tickets.seat`,
        fix: `select "odd ""one""".attach_audit(E'"odd ""one"""."o''tickets"');`,
      },
      { status: 'critical', fix: expect.stringContaining('p_redacted') },
    ]);
    const plain = {
      schema: 'shop',
      table: 'events',
      column: 'seat',
      problem: 'unwatched',
    } as const;
    expect(told(judgeUnauditedColumns([plain], 'shop'))).toMatchObject([
      {
        hint: expect.stringContaining('Put the fix into a new migration'),
        fix: `select attach_audit('events');`,
      },
    ]);
  });
});
