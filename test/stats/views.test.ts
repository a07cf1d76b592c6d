import { describe, expect, it } from 'vitest';
import type { ReportView, StatsReport } from '../../src/report/columns.ts';
import { renderReport } from '../../src/report/render-report.ts';
import { PLAIN } from '../../src/report/table.ts';
import { ACTIVITY_VIEW } from '../../src/stats/activity.ts';
import { CACHE_VIEW } from '../../src/stats/cache.ts';
import { CONNECTIONS_VIEW } from '../../src/stats/connections.ts';
import { LOCKS_VIEW, type LockRow } from '../../src/stats/locks.ts';
import { QUERIES_VIEW } from '../../src/stats/queries.ts';
import { REPLICATION_VIEW } from '../../src/stats/replication.ts';
import { VACUUM_VIEW } from '../../src/stats/vacuum.ts';

function render<T>(view: ReportView<T>, report: Partial<StatsReport<T>>, width?: number): string {
  const whole = { rows: [], countedSince: null, notes: [], ...report };
  return renderReport(whole, view, { style: PLAIN, width });
}

const lock = (facts: Partial<LockRow>): LockRow => ({
  depth: 0,
  path: '',
  pid: 4711,
  gid: null,
  user: 'app',
  application: 'api',
  client: null,
  database: 'shop',
  backendType: 'client backend',
  state: 'active',
  statement: 'update events set seats = 8',
  isHidden: false,
  transactionStart: null,
  transactionMs: 65_000,
  waitingSince: null,
  waitMs: 3000,
  wantedMode: 'SHARE',
  heldMode: 'EXCLUSIVE',
  lockType: 'transactionid',
  object: 'row (0,1) of public.events',
  blockedBy: [],
  blockedCount: 0,
  isQueued: false,
  isRepeated: false,
  ...facts,
});

const chain = [
  lock({
    state: 'idle in transaction',
    blockedCount: 3,
    waitMs: null,
    wantedMode: null,
    object: null,
  }),
  lock({ pid: 4712, depth: 1, blockedCount: 2 }),
  lock({ pid: 4713, depth: 2, isQueued: true, isHidden: true, statement: null }),
  lock({ pid: 0, gid: 'payment 1', blockedCount: 1, waitMs: null, wantedMode: null, object: null }),
  lock({ pid: 4712, depth: 1, isRepeated: true }),
];

describe('the lock tree as people see it', () => {
  it('shows who hangs below whom, who is queued, repeated, prepared or hidden', () => {
    const text = render(LOCKS_VIEW, { rows: chain });
    for (const place of [
      '4711 ',
      '└── 4712 ',
      '    └── 4713 (queued)',
      'prepared payment 1',
      '└── 4712 (again)',
      '(hidden)',
      'row (0,1) of public.events',
      'update events set seats = 8',
    ]) {
      expect(text).toContain(place);
    }
  });

  it('keeps the tree and the waits on a terminal of 40 columns', () => {
    const text = render(LOCKS_VIEW, { rows: chain }, 40);
    expect(text).toMatch(/^ {4}└── 4713 \(queued\) {2}3\.0 s {2}SHARE$/m);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(40);
  });
});

describe('a lock tree of several branches', () => {
  it('has a line down to the last of each branch', () => {
    const rows = [0, 1, 2, 2, 1, 2, 0].map((depth, index) => lock({ depth, pid: index + 1 }));
    const drawn = render(LOCKS_VIEW, { rows }).split('\n').slice(1);
    expect(drawn.map((line) => line.split(/(?<=\d) /)[0])).toEqual([
      '1',
      '├── 2',
      '│   ├── 3',
      '│   └── 4',
      '└── 5',
      '    └── 6',
      '7',
    ]);
  });
});

describe('an empty report', () => {
  const unknown = { level: 'unknown' as const, text: 'not installed' };

  it.each([
    [render(LOCKS_VIEW, {}), 'no session waits for a lock'],
    [render(ACTIVITY_VIEW, {}), 'no other session runs anything or has a transaction open'],
    [render(CONNECTIONS_VIEW, {}), 'no other session is connected'],
    [render(QUERIES_VIEW, {}), 'no statement was counted in this database yet'],
    [render(QUERIES_VIEW, { notes: [unknown] }), 'no statements can be shown'],
    [render(REPLICATION_VIEW, {}), 'no replication slot, and nothing streams from this server'],
    [render(REPLICATION_VIEW, { notes: [unknown] }), 'no slot, and no server streams'],
  ])('says what it means: %s', (text, expected) => {
    expect(text).toContain(expected);
  });
});

describe('the other reports as people see them', () => {
  it('put ratios that mean nothing in brackets, and never round up to 100 %', () => {
    const row = {
      kind: 'table' as const,
      schema: 'public',
      name: 'events',
      hits: 99_999,
      reads: 1,
      readBytes: 8192,
      hitRatio: 0.99999,
      isMeaningful: true,
    };
    const text = render(CACHE_VIEW, {
      rows: [row, { ...row, name: 'users', hits: 1, hitRatio: 0.5, isMeaningful: false }],
    });
    expect(text).toMatch(/public\.events +99\.9 %/);
    expect(text).toMatch(/public\.users +\(50\.0 %\)/);
  });

  it('show a vacuum at work, and a table that autovacuum leaves alone', () => {
    const row = {
      kind: 'table' as const,
      schema: 'public',
      name: 'log',
      xidAge: 5,
      freezeMaxAge: 200_000_000,
      xidsLeft: 2_000_000_000,
      multixactAge: 0,
      multixactFreezeMaxAge: 400_000_000,
      multixactsLeft: 2_000_000_000,
      isAutovacuumOff: false,
      lastVacuumAt: null,
      running: null,
    };
    const running = {
      pid: 7,
      phase: 'scanning heap',
      progress: 0.429,
      isAutovacuum: true,
      isForWraparound: true,
      startedAt: null,
      runningMs: 5,
    };
    const text = render(VACUUM_VIEW, {
      rows: [
        { ...row, running },
        { ...row, isAutovacuumOff: true },
      ],
    });
    expect(text).toContain('scanning heap 42 % (pid 7, against wraparound)');
    expect(text).toContain('autovacuum is off');
  });
});
