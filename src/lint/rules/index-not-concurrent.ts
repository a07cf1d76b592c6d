import type { Build } from '../../impact/impact.ts';
import { advance, isWord, openCursor } from '../../sql/lexer.ts';
import { asKind } from '../../sql/tree.ts';
import { type TouchedGroup, touchedFor } from '../created.ts';
import {
  evidenceOf,
  type Fix,
  keyOfRange,
  type LintRule,
  relationOf,
  type StatementInContext,
} from '../rule.ts';
import { IN_NO_TRANSACTION_FILE, pronounFor, tablesNamed, underLock } from '../wording.ts';

/** An index that is built while no one can write to the table. */
export const indexNotConcurrent: LintRule = {
  name: 'index-not-concurrent',
  kinds: ['IndexStmt'],
  group: 'locks',
  severity: 'error',
  summary: 'builds an index without concurrently, which locks the table against writes',
  check(at) {
    const create = asKind(at.tree, 'IndexStmt');
    if (create === undefined || create.concurrent) return [];
    const isPartitioned =
      relationOf(at, keyOfRange(at, create.relation))?.kind === 'partitioned table';
    return touchedFor(at, at.impact.builds, ['create index']).map((build) => {
      return {
        message: `${describe(build)} ${tablesNamed(at, build.relations)} ${underLock('Share', pronounFor(build.relations))}`,
        hint: isPartitioned ? PARTITIONED_HINT : HINT,
        severity: build.isCertain ? 'error' : 'warning',
        tables: build.relations,
        lock: 'Share',
        evidence: evidenceOf(at, build.relation),
        fix: isPartitioned ? undefined : buildConcurrently(at, build),
      };
    });
  },
};

function describe({ subject }: TouchedGroup<Build>): string {
  return subject === undefined ? 'building an index over' : `building index ${subject} over`;
}

/** Only for a table that is surely none with partitions, where PostgreSQL would refuse it. */
function buildConcurrently(
  at: StatementInContext,
  { relation }: TouchedGroup<Build>,
): Fix | undefined {
  const kind = relationOf(at, relation)?.kind;
  const end = endOfIndexWord(at.text);
  if (at.isEmbedded || (kind !== 'table' && kind !== 'materialized view')) return undefined;
  const place = at.start + end;
  return {
    description: 'build it concurrently, in a no-transaction migration',
    edits: [{ start: place, end: place, text: ' concurrently' }],
    ...(at.file.isTransactional && { moves: [at.statement.index] }),
  };
}

function endOfIndexWord(text: string): number {
  const cursor = openCursor(text);
  while (advance(cursor)) if (isWord(cursor, 'index')) return cursor.end;
  return text.length;
}

const HINT = `Write "create index concurrently" ${IN_NO_TRANSACTION_FILE}.`;
const PARTITIONED_HINT = `Create it "on only" the partitioned table, which builds nothing, build it concurrently on each partition ${IN_NO_TRANSACTION_FILE}, and attach those.`;
