import type { Node, RangeVar } from '@pgsql/types';
import { type Catalog, type ObjectKey, type Relation, resolveKey } from '../catalog/catalog.ts';
import type { Impact, LockMode, LockReason } from '../impact/impact.ts';
import { offsetOfByte } from '../sql/position.ts';
import type { Statement } from '../sql/statements.ts';
import { asKind, relationNameOf, type WrittenName, writtenNameOf } from '../sql/tree.ts';
import type { VariableValues } from '../sql/variables.ts';

/** `error` fails, `warning` fails with `--strict`, `info` never does. */
export type Severity = 'error' | 'warning' | 'info';

/**
 * The topic of a lint rule: locks, lost data, compatibility with running versions, transactions,
 * style.
 */
export type LintRuleGroup = 'locks' | 'data' | 'compat' | 'tx' | 'style';

/** What a finding is based on: the text alone, earlier migrations, a database, or a traced run. */
export type LintEvidence = 'static' | 'model' | 'live' | 'trace';

/** A statement as the rules see it; one inside a `do` block or a called function too. */
export interface StatementInContext {
  /** The statement of the script; for one inside a body, the statement that holds the body. */
  statement: Statement;
  /** The statement's own text: of the one inside the body where it is there. */
  text: string;
  tree: Node;
  /** Where `text` starts in the script, in UTF-16 units. */
  start: number;
  /** Whether it stands in a `do` block or in a function that the migration calls. */
  isEmbedded: boolean;
  /** The function that holds it, where the migration calls one; `text` is then not in the script. */
  routine?: ObjectKey | undefined;
  /** Whether SQL is run here that only exists at run time: `text` and `tree` then say nothing. */
  isDynamic?: boolean;
  impact: Impact;
  /** The database before this statement. */
  catalog: Catalog;
  /** Reads SQL that stands in a string; null where it is none. */
  parse(text: string): Node | null;
  file: FileState;
  settings: LintSettings;
}

/** What has happened in the file before the statement. */
export interface FileState {
  isTransactional: boolean;
  /** Whether its one statement runs in batches. */
  isBackfill: boolean;
  /** Whether it is marked as a contract and a gate holds it back. */
  isGatedContract: boolean;
  direction: 'up' | 'down';
  /** Relations that this file made without `if not exists`, and temporary ones: nobody else uses them. */
  fresh: Set<ObjectKey>;
  /** Types that this file made. */
  freshTypes: Set<ObjectKey>;
  /** The strongest lock that the transaction holds on each relation that is not fresh, and since which line. */
  held: Map<ObjectKey, { mode: LockMode; line: number; reason: LockReason }>;
  /** Labels added to enums by this file, by type. */
  enumValues: Map<ObjectKey, string[]>;
  /** Whether the session's time zone is UTC, which some changes of a type depend on. */
  timeZoneIsUtc: boolean | undefined;
  /** Whether the server reads the body of a function when it makes it. */
  checksBodies: boolean;
  /** All statements of the file, for rules that look ahead. */
  statements: Statement[];
  /** Their syntax trees by index; null where a statement could not be parsed. */
  trees: (Node | null)[];
}

/** The settings that rules judge by. */
export interface LintSettings {
  /** The oldest server that the migrations are for, as in server_version_num; default 140000. */
  serverVersion: number;
  /** Tables with fewer rows turn errors of the locks group into information; default: none. */
  smallTableRows: number | undefined;
  /** The highest lock_timeout that a migration may set; default 10000. */
  maxLockTimeoutMs: number;
}

export const DEFAULT_LINT_SETTINGS: LintSettings = {
  serverVersion: 140000,
  smallTableRows: undefined,
  maxLockTimeoutMs: 10_000,
};

/** Replaces a range of the script's text, in UTF-16 units. */
export interface Edit {
  start: number;
  end: number;
  text: string;
}

/** A change of the file that surely keeps its meaning. */
export interface Fix {
  description: string;
  edits: Edit[];
  /** Statements that have to move into a no-transaction migration of their own, by index. */
  moves?: number[];
  /** Statements for a migration behind this one, each with its inverse. */
  follows?: { up: string; down: string }[];
}

/** What a rule says of a statement. */
export interface RuleFinding {
  message: string;
  /** The safe way, as one or two sentences. */
  hint: string;
  /** Where it differs from the rule's own. */
  severity?: Severity;
  /** Where, in UTF-16 units from the start of `text`; default: its start. */
  offset?: number;
  tables: ObjectKey[];
  lock?: LockMode | undefined;
  /** Default `static`. */
  evidence?: LintEvidence | undefined;
  /** What surely mends it; undefined where nothing is sure. */
  fix?: Fix | undefined;
  /** Findings of the rule in one file that have the same are told as one, at the first place. */
  foldAs?: string | undefined;
  /** Asked when all migrations are known: false where a later one has mended it. */
  stillHolds?: ((after: Catalog) => boolean) | undefined;
}

/** One rule. Pure: it examines a statement in its context, and uses neither disk nor network. */
export interface LintRule {
  name: string;
  /** The kinds of statements it examines, such as `AlterTableStmt`; default: all. */
  kinds?: readonly string[];
  group: LintRuleGroup;
  severity: Severity;
  /** One line for lists. */
  summary: string;
  /** Off unless the configuration turns it on; default false. */
  isOptional?: boolean;
  /**
   * Its severity in a down script. Default: `off` for the groups data, compat and style, `weaker`
   * by one level for locks, and `same` for tx.
   */
  inDown?: 'off' | 'weaker' | 'same';
  /**
   * Its severity in a contract that a gate holds back: nobody uses then what it takes away. Default: as
   * elsewhere.
   */
  inGatedContract?: 'info';
  check(at: StatementInContext): RuleFinding[];
}

/** One script to lint, with what is known about it in addition to its text. */
export interface LintScript {
  /** As shown to people; slashes stay as they are. */
  path: string;
  /** With `\n` line ends. */
  text: string;
  direction: 'up' | 'down';
  /** False for `-- evdb: no-transaction`, and for a backfill. */
  isTransactional: boolean;
  /** Whether its one statement runs in batches; default false. */
  isBackfill?: boolean;
  /** Whether it is marked as a contract and a gate holds it back; default false. */
  isGatedContract?: boolean;
  /** Whether its findings are wanted; the others only show what the database contains by then. */
  isJudged: boolean;
  /** Whether it is a repeatable, which down scripts do without; default false. */
  isRepeatable?: boolean;
  /** Of the variables in it; default none. */
  values?: VariableValues;
  /** Whether another tool runs it, which may leave transactions to the script; default false. */
  isForeign?: boolean;
  /** Whether the text only represents that of a large file, and must never be written. */
  isOutline?: boolean;
}

/** The relation with a key, where the catalog knows it. */
export function relationOf(at: StatementInContext, key: ObjectKey): Relation | undefined {
  return at.catalog.relations.get(key);
}

/** The key of a relation that the statement names. */
export function keyOf(at: StatementInContext, written: WrittenName): ObjectKey {
  return resolveKey(at.catalog, written, at.catalog.relations);
}

/** The key of a relation that a node of the tree names, '' where it names none. */
export function keyOfRange(at: StatementInContext, range: RangeVar | undefined): ObjectKey {
  return range?.relname ? keyOf(at, relationNameOf(range)) : '';
}

/** Whether the file made the relation, so that nobody else can be using it. */
export function isFresh(at: StatementInContext, key: ObjectKey): boolean {
  return at.file.fresh.has(key) || relationOf(at, key)?.isTemporary === true;
}

/**
 * Whether `if exists` finds nothing: no migration made the relation or index, and there are some
 * that made others.
 */
export function isSurelyMissing({ catalog }: StatementInContext, key: ObjectKey): boolean {
  const { relations, indexes, isComplete } = catalog;
  return (isComplete || relations.size > 0) && !relations.has(key) && !indexes.has(key);
}

/** What is known of a relation, and from where. */
export function evidenceOf(at: StatementInContext, key: ObjectKey): LintEvidence {
  if (!at.catalog.relations.has(key)) return 'static';
  return at.catalog.isComplete ? 'live' : 'model';
}

/** Where a node is written, in UTF-16 units of the statement's text. */
export function offsetOf(at: StatementInContext, location: number | undefined): number {
  return offsetOfByte(at.text, location ?? 0);
}

/** The domain that the statement changes, where no migration makes it: who uses it is not known. */
export function unknownDomain(at: StatementInContext): ObjectKey | undefined {
  const { types, isComplete } = at.catalog;
  const key = resolveKey(
    at.catalog,
    writtenNameOf(asKind(at.tree, 'AlterDomainStmt')?.typeName),
    types,
  );
  return isComplete || types.has(key) ? undefined : key;
}
