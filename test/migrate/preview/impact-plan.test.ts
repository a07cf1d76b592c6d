import { describe, expect, it } from 'vitest';
import type {
  ImpactPlan,
  StatementImpact,
  StepImpact,
} from '../../../src/migrate/preview/impact-plan.ts';
import { renderImpactPlan } from '../../../src/migrate/preview/report.ts';
import { PLAIN } from '../../../src/report/table.ts';
import { displayWidth } from '../../../src/text/width.ts';

const quiet: StatementImpact = {
  ...{ line: 1, column: 1, command: 'create table', text: 'create table a (\n  id int\n)' },
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

const loud: StatementImpact = {
  ...quiet,
  ...{ line: 4, command: 'alter table' },
  text: 'alter table events add column token uuid not null default gen_random_uuid(), add check (capacity > 0)',
  locks: [
    {
      ...{ relation: 'public.events', mode: 'AccessExclusive', reason: 'target' },
      blocks: 'reads and writes',
      isHeld: false,
    },
    {
      relation: 'public.events_pkey',
      mode: 'AccessExclusive',
      reason: 'index',
      blocks: 'reads and writes',
      isHeld: false,
    },
    {
      ...{ relation: 'public.users', mode: 'ShareRowExclusive', reason: 'referenced table' },
      blocks: 'writes',
      isHeld: false,
    },
  ],
  rewrites: [
    {
      ...{ relation: 'public.events', reason: 'volatile default', isCertain: true },
      detail: 'default gen_random_uuid()',
    },
  ],
  scans: [
    {
      ...{ relation: 'public.events', reason: 'check constraint', isCertain: true },
      subject: 'events_check',
    },
  ],
};

const step: StepImpact = {
  ...{ direction: 'up', version: '12', label: '012', name: 'add_token' },
  ...{
    file: 'migrations/012_add_token.sql',
    isTransactional: true,
    isContinued: false,
    statementsDone: 0,
  },
  waits: {
    lockTimeoutsMs: [200, 3000],
    budgetMs: null,
    dataLockTimeoutMs: 10_000,
    statementTimeoutMs: null,
  },
  strongestLock: {
    mode: 'AccessExclusive',
    blocks: 'reads and writes',
    relations: ['public.events'],
  },
  backfill: null,
  isPostponed: false,
  isContract: false,
  gates: [],
  heldBy: [],
  rebuilds: [],
  statementsTotal: 2,
  statements: [quiet, loud],
};

const plan: ImpactPlan = {
  ...{ schema: 'public', serverVersion: 180004, pending: [], warnings: [], trace: null },
  steps: [step],
  tables: {
    'public.events': { rows: 1_200_000, bytes: 356_515_840, indexes: 5, isNew: false },
    'public.users': { rows: null, bytes: null, indexes: 1, isNew: false },
  },
};

const options = { nothing: 'nothing to do', verbose: false, style: PLAIN };

describe('a rendered plan', () => {
  it('says for each statement that others feel what it does to whom', () => {
    expect(renderImpactPlan(plan, options)).toBe(`\
Would run 1 migration in schema public, each in a transaction of its own:
  up    012_add_token  2 statements
        strongest lock: ACCESS EXCLUSIVE on public.events, blocks reads and writes
        waits for it 200 ms to 3.0 s, in up to 2 tries
        migrations/012_add_token.sql:4  ${loud.text}
          ACCESS EXCLUSIVE     blocks reads and writes of public.events (1,200,000 rows, 340 MB)
          SHARE ROW EXCLUSIVE  blocks writes of public.users (size not known) (referenced table)
          rewrites             public.events and its 5 indexes: default gen_random_uuid()
          reads every row      public.events: check constraint (events_check)
        1 more without effect on other sessions (--verbose shows all)
Nothing was changed.`);
  });

  it('says that there is nothing to do', () => {
    expect(renderImpactPlan({ ...plan, steps: [] }, options)).toBe('nothing to do');
  });

  it('shows every statement where that is asked for', () => {
    const text = renderImpactPlan(plan, { ...options, verbose: true });
    expect(text).toContain('\n        migrations/012_add_token.sql:1  create table a ( …\n');
    expect(text).not.toContain('--verbose');
  });

  it('says which step runs without a transaction, and which goes back', () => {
    const other = { ...step, direction: 'down' as const, isTransactional: false };
    const text = renderImpactPlan({ ...plan, steps: [step, other] }, options);
    expect(text).toContain('each in a transaction of its own unless it says otherwise:');
    expect(text).toContain('  down  012_add_token  2 statements, without a transaction');
  });

  it('says how much of a large file nobody has looked at', () => {
    const text = renderImpactPlan({ ...plan, steps: [{ ...step, statementsTotal: 500 }] }, options);
    expect(text).toContain('012_add_token  500 statements');
    expect(text).toContain('        498 not examined: the file is large\n');
  });

  it('tells what is not certain and what is not known', () => {
    const unsure: StatementImpact = {
      ...loud,
      rewrites: loud.rewrites.map((one) => ({ ...one, isCertain: false })),
      unknowns: ['it runs SQL that is put together at run time'],
    };
    const text = renderImpactPlan({ ...plan, steps: [{ ...step, statements: [unsure] }] }, options);
    expect(text).toMatch(/may rewrite +public\.events/);
    expect(text).toMatch(/not known +it runs SQL that is put together at run time/);
  });

  it('tells where a trace saw something else, and on which server', () => {
    const traced: StatementImpact = {
      ...loud,
      evidence: 'trace',
      trace: {
        ...{ outcome: 'traced', reason: null, durationMs: 3 },
        differences: ['does not rewrite public.events'],
      },
    };
    const text = renderImpactPlan(
      {
        ...plan,
        steps: [{ ...step, statements: [traced] }],
        trace: { where: 'embedded', serverVersion: 180004 },
        serverVersion: 140023,
      },
      options,
    );
    expect(text).toMatch(
      /trace +unlike what the statement suggests, it does not rewrite public\.events/,
    );
    expect(text).toContain(
      'Traced in a scratch database on the embedded PostgreSQL, without rows; that is PostgreSQL 18, the target is 14.',
    );
  });

  it.each([40, 80, 200])('keeps to a terminal of %i columns', (width) => {
    const other = { ...step, isTransactional: false };
    const both = { ...plan, steps: [step, other] };
    const text = renderImpactPlan(both, { ...options, verbose: true, width });
    const words = text.split('\n').filter((line) => displayWidth(line) > width);
    // a name is never broken
    expect(words.filter((line) => line.trim().includes(' '))).toEqual([]);
    expect(text).toContain('gen_random_uuid()');
  });
});

describe('a budget under a plan', () => {
  const budget = { failsOnUnknown: false, rewriteRows: 10 };
  const found = (message: string, actual: number | null) => ({
    ...{ code: 'budget-rewrite-rows', severity: 'error' as const, message },
    ...{ location: { file: 'migrations/012_add_token.sql', line: 4 }, objects: ['public.events'] },
    details: { limit: 'rewrite-rows' as const, actual, allowed: 10, isMeasured: false },
  });

  it('says that it is kept', () => {
    const verdict = { budget, isKept: true, violations: [], unknowns: [] };
    expect(renderImpactPlan(plan, { ...options, verdict })).toContain('\nwithin the budget\n');
  });

  it('lists what exceeds it, and what nobody knows', () => {
    const verdict = {
      ...{ budget, isKept: false },
      violations: [found('rewrites public.events: 20 rows', 20)],
      unknowns: [found('nobody knows', null)],
    };
    expect(renderImpactPlan(plan, { ...options, verdict })).toContain(`
over the budget, 1 thing not known and allowed:
  migrations/012_add_token.sql:4  rewrites public.events: 20 rows (rewrite-rows)
  migrations/012_add_token.sql:4  nobody knows (rewrite-rows)
`);
  });
});
