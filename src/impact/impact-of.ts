import type { CreateSchemaStmt, Node } from '@pgsql/types';
import { type Catalog, type ObjectKey, splitKey } from '../catalog/catalog.ts';
import { kindOf, schemaNameOf } from '../sql/tree.ts';
import { impactOfAlterTable } from './alter-table.ts';
import {
  impactOfCreate,
  impactOfCreateIndex,
  impactOfCreateTrigger,
  impactOfCreateView,
  impactOfDrop,
} from './create-drop.ts';
import { closeDraft, type Draft, openDraft, unknown } from './draft.ts';
import type { Impact } from './impact.ts';
import {
  impactOfCluster,
  impactOfLock,
  impactOfRefresh,
  impactOfReindex,
  impactOfTruncate,
  impactOfVacuum,
} from './maintenance.ts';
import {
  impactOfComment,
  impactOfDomainChange,
  impactOfOwnPart,
  impactOfPublication,
  impactOfRename,
  impactOfSequenceChange,
  impactOfSetSchema,
  impactOfStatistics,
  lockTarget,
} from './objects.ts';
import { impactOfCopy, impactOfExplain, impactOfQuery, impactOfReading } from './query.ts';
import { refusalsOf } from './refusal.ts';

export interface ImpactQuestion {
  /** From `parser.parse(text)`. */
  tree: Node;
  /** The statement's text. */
  text: string;
  /** The database before the statement. */
  catalog: Catalog;
  /** As in server_version_num: 180004 is 18.4. */
  serverVersion: number;
  /** Whether the session's time zone is UTC, which some changes of a type depend on; default: unknown. */
  timeZoneIsUtc?: boolean | undefined;
}

/**
 * Says what a statement locks, rewrites, reads and builds while it runs on PostgreSQL 14 to 18,
 * without running it.
 *
 * Indexes are among the locks only where the statement names them: others feel the lock of the
 * table. What building an index or writing a table anew reads is not among the scans. `AccessShare`
 * is there for what a query reads. What happens inside of functions and triggers is left out.
 *
 * @example
 * const parser = await loadSqlParser();
 * impactOf({ tree: parser.parse(text), text, catalog, serverVersion: 180000 }).rewrites
 */
export function impactOf(question: ImpactQuestion): Impact {
  const { tree, text, catalog, serverVersion, timeZoneIsUtc } = question;
  const draft = openDraft({ text, catalog, serverVersion, timeZoneIsUtc });
  const kind = kindOf(tree);
  const fields = (tree as Record<string, unknown>)[kind];
  JUDGES[kind]?.(draft, fields, tree);
  for (const refusal of refusalsOf(draft, kind, fields)) draft.impact.refusals.push(refusal);
  return closeDraft(draft);
}

// biome-ignore lint/suspicious/noExplicitAny: each takes the fields of its own kind
type Judge = (draft: Draft, fields: any, tree: Node) => void;

const query: Judge = (draft, _, tree) => impactOfQuery(draft, tree);

const JUDGES: Record<string, Judge> = {
  AlterDomainStmt: impactOfDomainChange,
  AlterObjectSchemaStmt: (draft, { relation }) => impactOfSetSchema(draft, relation),
  AlterPolicyStmt: (draft, { table }) => lockTarget(draft, table, 'AccessExclusive'),
  AlterPublicationStmt: impactOfPublication,
  AlterSeqStmt: impactOfSequenceChange,
  AlterTableStmt: impactOfAlterTable,
  CallStmt: (draft) => unknown(draft, 'what the procedure does'),
  ClusterStmt: impactOfCluster,
  CommentStmt: impactOfComment,
  CopyStmt: impactOfCopy,
  CreateForeignTableStmt: (draft, { base }) => impactOfCreate(draft, base),
  CreatePolicyStmt: (draft, { table }) => lockTarget(draft, table, 'AccessExclusive'),
  CreatePublicationStmt: impactOfPublication,
  CreateSchemaStmt: impactOfCreateSchema,
  CreateStatsStmt: impactOfStatistics,
  CreateStmt: impactOfCreate,
  CreateTableAsStmt: (draft, { query: source, into }) =>
    impactOfReading(draft, source, { isRun: into?.skipData !== true }),
  CreateTrigStmt: impactOfCreateTrigger,
  DeleteStmt: query,
  DoStmt: (draft) => unknown(draft, 'what the do block does'),
  DropOwnedStmt: (draft) => unknown(draft, 'what the role owns'),
  DropStmt: impactOfDrop,
  ExecuteStmt: (draft) => unknown(draft, 'what the prepared statement does'),
  ExplainStmt: (draft, { query: explained, options }) => {
    const isRun = ((options ?? []) as Node[]).some((node) => isAnalyze(node));
    impactOfExplain(draft, explained, isRun);
  },
  IndexStmt: impactOfCreateIndex,
  InsertStmt: query,
  LockStmt: impactOfLock,
  MergeStmt: query,
  RefreshMatViewStmt: impactOfRefresh,
  ReindexStmt: impactOfReindex,
  RenameStmt: impactOfRename,
  RuleStmt: (draft, { relation }) => lockTarget(draft, relation, 'AccessExclusive'),
  SecLabelStmt: impactOfComment,
  SelectStmt: query,
  TruncateStmt: impactOfTruncate,
  UpdateStmt: query,
  VacuumStmt: impactOfVacuum,
  ViewStmt: impactOfCreateView,
  AlterTableMoveAllStmt: impactOfOwnPart,
  ReassignOwnedStmt: (draft) => unknown(draft, 'what the role owns'),
};

function isAnalyze(node: Node): boolean {
  return 'DefElem' in node && node.DefElem.defname === 'analyze';
}

/** What stands inside is made in the schema, where nobody else has anything yet. */
function impactOfCreateSchema(draft: Draft, statement: CreateSchemaStmt): void {
  const { catalog, impact, locks } = draft;
  const schemaname = schemaNameOf(statement);
  const inside = {
    ...draft,
    catalog: { ...catalog, searchPath: [schemaname, ...catalog.searchPath] },
  };
  for (const node of statement.schemaElts ?? []) {
    for (const [kind, fields] of Object.entries(node)) JUDGES[kind]?.(inside, fields, node);
  }
  const isOutside = (key: ObjectKey) => splitKey(key).schema !== schemaname;
  for (const key of [...locks.keys()]) if (!isOutside(key)) locks.delete(key);
  impact.rewrites = impact.rewrites.filter(({ relation }) => isOutside(relation));
  impact.scans = impact.scans.filter(({ relation }) => isOutside(relation));
  impact.builds = impact.builds.filter(({ relation }) => isOutside(relation));
}
