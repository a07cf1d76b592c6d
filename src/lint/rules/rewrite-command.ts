import type { AlterTableMoveAllStmt } from '@pgsql/types';
import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import type { Rewrite } from '../../impact/impact.ts';
import { asKind } from '../../sql/tree.ts';
import { placeOf, type TouchedGroup, touchedFor } from '../created.ts';
import { evidenceOf, type LintRule, type RuleFinding, type StatementInContext } from '../rule.ts';
import { IN_LATER_FILE, rewritesTables, underLock } from '../wording.ts';

/** A command whose work is to write the table anew. */
export const rewriteCommand: LintRule = {
  name: 'rewrite-command',
  group: 'locks',
  severity: 'error',
  summary: 'vacuum full, cluster, or another command that rewrites the whole table',
  check(at) {
    const everywhere = withoutTable(at);
    if (everywhere !== undefined) return [judgeEverywhere(everywhere)];
    const moved = asKind(at.tree, 'AlterTableMoveAllStmt');
    if (moved) return [judgeMove(moved)];
    return touchedFor(at, at.impact.rewrites, REASONS).map((rewrite) => ({
      message: messageOf(at, rewrite),
      hint: hintFor(at, rewrite),
      severity: rewrite.isCertain ? 'error' : 'warning',
      offset: placeOf(at, rewrite),
      tables: rewrite.relations,
      lock: 'AccessExclusive',
      evidence: evidenceOf(at, rewrite.relation),
    }));
  },
};

function messageOf(at: StatementInContext, rewrite: TouchedGroup<Rewrite>): string {
  const index = at.catalog.indexes.get(rewrite.relation);
  return index === undefined
    ? `${doingOf(rewrite)} ${rewritesTables(at, rewrite.relations)}`
    : `moving index ${index.key} to tablespace ${rewrite.detail} copies it under ACCESS EXCLUSIVE: no one can read or write ${index.table} meanwhile`;
}

function judgeMove({ objtype, orig_tablespacename }: AlterTableMoveAllStmt): RuleFinding {
  const kinds = { OBJECT_INDEX: 'index', OBJECT_MATVIEW: 'materialized view' } as const;
  const kind = kinds[objtype as keyof typeof kinds] ?? 'table';
  return {
    message: `copies every ${kind} of tablespace ${orig_tablespacename} in one transaction, and keeps each ${underLock('AccessExclusive')}`,
    hint: REPACK_HINT,
    tables: [],
    lock: 'AccessExclusive',
  };
}

const REASONS: Rewrite['reason'][] = [
  'vacuum full',
  'cluster',
  'set logged',
  'set tablespace',
  'set access method',
  'set expression',
];

function withoutTable({ tree }: StatementInContext): 'vacuum full' | 'cluster' | undefined {
  const cluster = asKind(tree, 'ClusterStmt');
  if (cluster && cluster.relation === undefined) return 'cluster';
  const vacuum = asKind(tree, 'VacuumStmt');
  const isFull = vacuum?.options?.some((node) => asKind(node, 'DefElem')?.defname === 'full');
  return isFull && (vacuum?.rels ?? []).length === 0 ? 'vacuum full' : undefined;
}

function judgeEverywhere(command: 'vacuum full' | 'cluster'): RuleFinding {
  const which =
    command === 'cluster' ? 'every table that was clustered before' : 'every table of the database';
  return {
    message: `${command} rewrites ${which}, one after the other, ${underLock('AccessExclusive')}`,
    hint: REPACK_HINT,
    tables: [],
    lock: 'AccessExclusive',
  };
}

function doingOf({ reason, detail, subject }: TouchedGroup<Rewrite>): string {
  switch (reason) {
    case 'vacuum full':
    case 'cluster':
      return reason;
    case 'set logged':
      return `set ${detail ?? 'logged or unlogged'}`;
    case 'set expression':
      return `changing the expression of the stored column ${quoteWhereNeeded(subject ?? '?')}`;
    default:
      return detail === undefined ? reason : `${reason} ${detail}`;
  }
}

function hintFor({ settings }: StatementInContext, { reason }: TouchedGroup<Rewrite>): string {
  switch (reason) {
    case 'vacuum full':
    case 'cluster':
    case 'set tablespace':
      return settings.serverVersion >= 190_000 ? 'Use "repack (concurrently)".' : REPACK_HINT;
    case 'set expression':
      return `Add a column with the new expression beside it, kept up to date by a trigger and filled in batches ${IN_LATER_FILE}, and drop the old one.`;
    default:
      return 'Fill a new table in batches while a trigger keeps it in step, and swap the two; or do it in a maintenance window.';
  }
}

const REPACK_HINT =
  'Outside of migrations pg_repack or pg_squeeze do the same while others go on reading and writing.';
