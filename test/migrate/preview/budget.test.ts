import { describe, expect, it } from 'vitest';
import {
  type BudgetFinding,
  type BudgetVerdict,
  judgeBudget,
  parseBudget,
} from '../../../src/migrate/preview/budget.ts';
import type {
  ImpactPlan,
  StatementImpact,
  StepImpact,
} from '../../../src/migrate/preview/impact-plan.ts';

const MB = 1024 * 1024;
const T = 'public.t';

const quiet: StatementImpact = {
  ...{ line: 1, column: 1, command: 'select', text: 'select 1' },
  ...{
    evidence: 'live',
    locks: [],
    rewrites: [],
    scans: [],
    builds: [],
    changes: [],
    refusals: [],
    estimatedMs: null,
    unknowns: [],
    trace: null,
  },
};

type Lock = StatementImpact['locks'][number];
const lock = (mode: Lock['mode'], relation = T): Lock => ({
  ...{ relation, mode, reason: 'target', blocks: '', isHeld: false },
});
const rewrite = { relation: T, reason: 'type change' as const, isCertain: true };
const scan = { relation: T, reason: 'check constraint' as const, isCertain: true };
const build = {
  ...{ relation: T, reason: 'create index' as const, isCertain: true, isConcurrent: false },
};

function planOf(
  statements: Partial<StatementImpact>[],
  {
    step,
    facts,
    trace = null,
  }: {
    step?: Partial<StepImpact>;
    facts?: Partial<ImpactPlan['tables'][string]>;
    trace?: ImpactPlan['trace'];
  } = {},
): ImpactPlan {
  return {
    ...{ schema: 'public', serverVersion: 180004, pending: [], warnings: [], trace },
    steps: [
      {
        ...{ direction: 'up', version: '1', label: '001', name: 'a' },
        ...{
          file: 'migrations/001_a.sql',
          isTransactional: true,
          strongestLock: null,
          isContinued: false,
          statementsDone: 0,
          backfill: null,
          isPostponed: false,
          isContract: false,
          gates: [],
          heldBy: [],
          rebuilds: [],
          statementsTotal: statements.length,
        },
        waits: {
          lockTimeoutsMs: [200],
          budgetMs: null,
          dataLockTimeoutMs: 1,
          statementTimeoutMs: null,
        },
        statements: statements.map((one, index) => ({ ...quiet, line: index + 1, ...one })),
        ...step,
      },
    ],
    tables: { [T]: { rows: 1_000_000, bytes: 100 * MB, indexes: 2, isNew: false, ...facts } },
  };
}

describe('a budget', () => {
  it.each([
    ['rewrite-rows=100k', { rewriteRows: 100_000 }],
    ['scan-rows=1.5M', { scanRows: 1_500_000 }],
    ['rewrite-rows=1_000,scan-rows=0', { rewriteRows: 1000, scanRows: 0 }],
    ['access-exclusive=500ms block-writes=1min', { accessExclusiveMs: 500, blockWritesMs: 60_000 }],
    ['scan-rows=1, unknown=fail', { scanRows: 1, failsOnUnknown: true }],
  ])('is read from %s', (text, limits) => {
    expect(parseBudget(text)).toEqual({ failsOnUnknown: false, ...limits });
  });

  it.each([
    '',
    'rows=1',
    'rewrite-rows',
    'rewrite-rows=many',
    'scan-rows=-1',
    'access-exclusive=5',
    'unknown=maybe',
  ])('is refused as %j', (text) => {
    expect(() => parseBudget(text)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', hint: expect.stringContaining('100k') }),
    );
  });
});

/** What was found, with all that is known of it on one level. */
function flat({ violations, unknowns, ...verdict }: BudgetVerdict) {
  const flatten = ({ objects, location, details, ...finding }: BudgetFinding) => ({
    ...{ ...finding, ...location, ...details, relation: objects[0] ?? null },
  });
  return { ...verdict, violations: violations.map(flatten), unknowns: unknowns.map(flatten) };
}

describe('a plan is held against a budget', () => {
  const judge = (plan: ImpactPlan, text: string) => flat(judgeBudget(plan, parseBudget(text)));

  it('by the rows that are written anew', () => {
    const plan = planOf([{ locks: [lock('AccessExclusive')], rewrites: [rewrite] }]);
    expect(judge(plan, 'rewrite-rows=1M').isKept).toBe(true);
    expect(judge(plan, 'rewrite-rows=999999')).toMatchObject({
      isKept: false,
      violations: [
        {
          ...{ limit: 'rewrite-rows', file: 'migrations/001_a.sql', line: 1, relation: T },
          ...{ actual: 1_000_000, allowed: 999_999 },
          message: 'rewrites public.t: 1,000,000 rows, allowed are 999,999',
        },
      ],
    });
  });

  it('by the rows that are read while others are blocked, and only then', () => {
    const under = (mode: Lock['mode']) =>
      judge(planOf([{ locks: [lock(mode)], scans: [scan] }]), 'scan-rows=10').isKept;
    expect(under('AccessExclusive')).toBe(false);
    expect(under('Share')).toBe(false);
    expect(under('ShareUpdateExclusive')).toBe(true);
    expect(under('RowExclusive')).toBe(true);
  });

  it('by the lock that an earlier statement of the transaction has taken', () => {
    const statements = [
      { locks: [lock('AccessExclusive')] },
      { locks: [lock('ShareUpdateExclusive')], scans: [scan] },
    ];
    expect(judge(planOf(statements), 'scan-rows=10').violations).toMatchObject([{ line: 2 }]);
    const apart = planOf(statements, { step: { isTransactional: false } });
    expect(judge(apart, 'scan-rows=10').isKept).toBe(true);
  });

  it('by the building of an index, unless others can write meanwhile', () => {
    const built = (isConcurrent: boolean) =>
      judge(
        planOf([
          {
            locks: [lock(isConcurrent ? 'ShareUpdateExclusive' : 'Share')],
            builds: [{ ...build, isConcurrent }],
          },
        ]),
        'scan-rows=10,block-writes=1s',
      ).violations.map(({ limit }) => limit);
    expect(built(false)).toEqual(['scan-rows', 'block-writes']);
    expect(built(true)).toEqual([]);
  });

  it('by how long a lock lasts, until the end of the transaction', () => {
    // 100 MB at 25 MB/s
    const statements = [
      { locks: [lock('AccessExclusive', 'public.other')] },
      { locks: [lock('AccessExclusive')], rewrites: [rewrite] },
    ];
    const plan = planOf(statements);
    plan.tables['public.other'] = { rows: 1, bytes: 1, indexes: 0, isNew: false };
    expect(judge(plan, 'access-exclusive=5s').isKept).toBe(true);
    expect(judge(plan, 'access-exclusive=3s').violations).toMatchObject([
      { line: 1, relation: 'public.other', actual: 4000 },
      {
        line: 2,
        relation: T,
        message: 'holds ACCESS EXCLUSIVE on public.t for about 4.0 s, allowed are 3.0 s',
      },
    ]);
    const apart = planOf(statements, { step: { isTransactional: false } });
    expect(judge(apart, 'access-exclusive=3s').violations).toMatchObject([{ line: 2 }]);
  });

  it('by what was measured on the target', () => {
    const trace = { outcome: 'traced' as const, reason: null, durationMs: 900, differences: [] };
    const plan = planOf([{ locks: [lock('AccessExclusive')], rewrites: [rewrite], trace }], {
      trace: { where: 'target', serverVersion: 180004 },
    });
    expect(judge(plan, 'access-exclusive=1s').isKept).toBe(true);
    expect(judge(plan, 'access-exclusive=500ms').violations).toMatchObject([
      { actual: 900, isMeasured: true },
    ]);
  });

  it('with what is not known let pass, unless that is to fail', () => {
    const plan = planOf([{ locks: [lock('AccessExclusive')], rewrites: [rewrite] }], {
      facts: { rows: null, bytes: null },
    });
    const limits = 'rewrite-rows=1M,access-exclusive=1s';
    expect(judge(plan, limits)).toMatchObject({
      isKept: true,
      violations: [],
      unknowns: [
        { limit: 'rewrite-rows', actual: null },
        { limit: 'access-exclusive', message: expect.stringContaining('size of public.t') },
      ],
    });
    expect(judge(plan, `${limits},unknown=fail`).isKept).toBe(false);
  });

  it('with a statement that cannot be read as one that is not known', () => {
    const plan = planOf([{ unknowns: ['it is put together at run time'] }]);
    expect(judge(plan, 'scan-rows=1').unknowns).toMatchObject([
      { relation: null, message: 'its effect is unknown: it is put together at run time' },
    ]);
  });

  it('with what the plan makes itself as empty', () => {
    const plan = planOf([{ locks: [lock('AccessExclusive')], rewrites: [rewrite] }], {
      facts: { rows: null, bytes: null, isNew: true },
    });
    const verdict = judge(plan, 'rewrite-rows=1,access-exclusive=1ms');
    expect(verdict).toMatchObject({ isKept: true, unknowns: [] });
  });

  it('with a truncation as what it is: quick', () => {
    const plan = planOf([
      { locks: [lock('AccessExclusive')], rewrites: [{ ...rewrite, reason: 'truncate' }] },
    ]);
    expect(judge(plan, 'rewrite-rows=1,access-exclusive=1ms').isKept).toBe(true);
  });
});
