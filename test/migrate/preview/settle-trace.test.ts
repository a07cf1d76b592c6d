import { describe, expect, it } from 'vitest';
import { emptyImpact, type Impact, type LockMode } from '../../../src/impact/impact.ts';
import { settleTrace } from '../../../src/migrate/preview/step-impact.ts';
import { splitStatements } from '../../../src/sql/statements.ts';
import type { StatementTrace } from '../../../src/trace/trace-statements.ts';

const T = 'public.t';
const [statement] = splitStatements('alter table t add check (a > 0)');

const lock = (mode: LockMode, reason: 'target' | 'index' = 'target', relation = T) => ({
  ...{ relation, mode, reason },
});
const scan = { relation: T, reason: 'check constraint' as const, isCertain: false, subject: 'c' };
const rewrite = { relation: T, reason: 'type change' as const, isCertain: false };
const build = { relation: T, reason: 'unique' as const, isCertain: true, isConcurrent: false };

function impact(parts: Partial<Impact>): Impact {
  return { ...emptyImpact(), ...parts };
}

function traceOf(seen: Partial<Impact>, more: Partial<StatementTrace> = {}): StatementTrace {
  if (!statement) throw new Error('a statement is split off');
  return {
    ...{ statement, outcome: 'traced', reason: undefined, held: [], reads: [], messages: [] },
    ...{ durationMs: 1, impact: impact(seen), ...more },
  };
}

const differences = (read: Partial<Impact>, trace: StatementTrace) =>
  settleTrace(impact(read), trace).trace?.differences;

describe('what was read and what was traced', () => {
  it('is what was read where nothing was traced', () => {
    const read = impact({ locks: [lock('Share')], unknowns: ['what it does'] });
    expect(settleTrace(read, undefined)).toEqual({ ...read, evidence: 'live', trace: null });
    const skipped = traceOf({}, { outcome: 'skipped', reason: 'vacuum' });
    expect(settleTrace(read, skipped)).toMatchObject({ evidence: 'live', locks: read.locks });
  });

  it('is what was traced, with the reasons of what was read', () => {
    const read = { locks: [lock('AccessExclusive')], scans: [scan], unknowns: ['what it does'] };
    const seen = {
      locks: [lock('AccessExclusive')],
      scans: [{ relation: T, reason: 'traced' as const, isCertain: true }],
    };
    expect(settleTrace(impact(read), traceOf(seen))).toMatchObject({
      evidence: 'trace',
      scans: [{ reason: 'check constraint', subject: 'c', isCertain: true }],
      unknowns: [],
      trace: { differences: [] },
    });
  });

  it('needs no weaker lock where the transaction holds the one that was read', () => {
    const strong = lock('AccessExclusive');
    const trace = traceOf({ locks: [lock('ShareRowExclusive')] }, { held: [strong] });
    expect(differences({ locks: [strong] }, trace)).toEqual([]);
    expect(settleTrace(impact({ locks: [strong] }), trace).locks).toEqual([strong]);
    expect(differences({ locks: [lock('Share')] }, trace)).not.toEqual([]);
  });

  it('differs where a lock is stronger, weaker, or somewhere else', () => {
    const other = lock('Share', 'target', 'public.other');
    expect(
      differences({ locks: [lock('Share')] }, traceOf({ locks: [lock('AccessExclusive'), other] })),
    ).toEqual([
      'takes ACCESS EXCLUSIVE on public.t',
      'takes SHARE on public.other',
      'does not take SHARE on public.t',
    ]);
  });

  it('does not differ by a lock that the transaction holds already, and keeps it', () => {
    const trace = traceOf({}, { held: [lock('AccessExclusive')] });
    const settled = settleTrace(impact({ locks: [lock('ShareRowExclusive')] }), trace);
    expect(settled.locks).toEqual([lock('ShareRowExclusive')]);
    expect(settled.trace?.differences).toEqual([]);
  });

  it('does not differ by locks on indexes, nor by those that nobody feels', () => {
    const seen = { locks: [lock('AccessExclusive', 'index', 'public.i'), lock('RowExclusive')] };
    expect(differences({}, traceOf(seen))).toEqual([]);
  });

  it('differs where a table is written anew, or read, only in one of the two', () => {
    const seen = { ...rewrite, isCertain: true };
    expect(differences({}, traceOf({ rewrites: [seen] }))).toEqual([
      'rewrites public.t',
      'reads every row of public.t',
    ]);
    expect(differences({ rewrites: [rewrite] }, traceOf({}))).toEqual([
      'does not rewrite public.t',
      'does not read every row of public.t',
    ]);
    expect(differences({ scans: [scan] }, traceOf({}))).toEqual([
      'does not read every row of public.t',
    ]);
  });

  it('does not differ by what reads the table, as long as it is read', () => {
    expect(differences({ scans: [scan] }, traceOf({ builds: [build] }))).toEqual([]);
  });

  it('keeps what only rows would show', () => {
    const read = { scans: [{ ...scan, reason: 'foreign key' as const }] };
    const settled = settleTrace(impact(read), traceOf({}));
    expect(settled.scans).toEqual(read.scans);
    expect(settled.trace?.differences).toEqual([]);
  });

  it('names an index build by what was read', () => {
    const seen = { ...build, reason: 'create index' as const, subject: 'public.t_a_key' };
    expect(settleTrace(impact({ builds: [build] }), traceOf({ builds: [seen] }))).toMatchObject({
      builds: [{ reason: 'unique', subject: 'public.t_a_key' }],
    });
  });
});
