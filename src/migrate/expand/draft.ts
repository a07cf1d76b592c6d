import { quoteWhereNeeded } from '../../catalog/catalog.ts';
import { wrapWords } from '../../text/wrap.ts';
import type { TableFacts } from './facts.ts';

/** One script of a draft. */
export interface DraftScript {
  /** What it does, as sentences. */
  about: string;
  /** A query that somebody may run before, on a line of its own. */
  look?: string | undefined;
  /** Such as `no-transaction` or `backfill events`. */
  directives?: string[];
  /** Takes something from running builds. */
  isContract?: boolean;
  /** The draft, by its name, whose backfill has to be applied before. */
  afterBackfill?: string | undefined;
  /** Without their semicolons. */
  statements: string[];
  /** What lint says of it that is meant, and why. */
  accepts?: readonly Accepted[];
}

/** Findings of lint that are meant. */
export interface Accepted {
  rules: readonly string[];
  reason: string;
}

/** A migration that is not written yet. */
export interface DraftMigration {
  /** What follows the version in the names of its files. */
  name: string;
  up: DraftScript;
  down: DraftScript;
}

/** Locks that evdb waits for with a time limit and holds for a moment. */
export const HELD_SHORTLY: Accepted = {
  rules: ['lock-fanout', 'work-under-strong-lock', 'validate-same-tx'],
  reason: 'each lock is held for a moment, and waited for with a time limit',
};

/** What a new column has because the old one has it. */
export const AS_BEFORE: Accepted = {
  rules: ['fk-without-index', 'redundant-index'],
  reason: 'as it was before',
};

/** Work under locks on a table that a gate has found to be small. */
export const SMALL_TABLE: Accepted = {
  rules: [
    ...['lock-fanout', 'work-under-strong-lock', 'validate-same-tx', 'unbatched-dml'],
    ...['index-not-concurrent', 'set-not-null', 'check-validated', 'fk-validated'],
    ...['add-column-rewrite', 'constraint-builds-index', 'index-drop-reindex-blocking'],
  ],
  reason: 'the table is small, or the gate stays closed',
};

/** What a recipe makes of a table and a request. */
export interface Recipe {
  drafts: DraftMigration[];
  /** What the user has to know or do, as sentences. */
  notes: string[];
  /** A trigger function, to be tried on rows of its own in a scratch database. */
  sync?: { function: string; table: string; columns: string[] };
}

/** So wide are the comments. */
const COMMENT_WIDTH = 97;

/**
 * The text of a script.
 *
 * @param labelOf the version of a draft, by its name
 * @param ignored rules that lint would report
 */
export function renderDraft(
  script: DraftScript,
  labelOf: (name: string) => string,
  ignored: readonly string[] = [],
): string {
  const { about, look, directives = [], isContract, afterBackfill, statements } = script;
  const { accepts = [] } = script;
  const accepted = accepts.flatMap(({ rules, reason }) => {
    const found = ignored.filter((rule) => rules.includes(rule));
    return found.length === 0 ? [] : [`ignore ${found.join(', ')}: ${reason}`];
  });
  const said = [
    ...(isContract ? ['contract'] : []),
    ...(afterBackfill === undefined ? [] : [`after backfill ${labelOf(afterBackfill)}`]),
    ...directives,
    ...accepted,
  ];
  const header = [
    ...wrapWords(about, COMMENT_WIDTH).map((line) => `-- ${line}`),
    ...(look === undefined ? [] : look.split('\n').map((line) => `-- ${line}`)),
    ...said.map((line) => `-- evdb: ${line}`),
  ];
  return `${header.join('\n')}\n${inParagraphs(statements)}`;
}

/** Statements of one line stand together. */
function inParagraphs(statements: readonly string[]): string {
  let text = '';
  for (const [index, statement] of statements.entries()) {
    const isLong = statement.includes('\n') || statements[index - 1]?.includes('\n');
    text += `${index > 0 && isLong ? '\n' : ''}${statement};\n`;
  }
  return text;
}

/** What a down script says that has nothing to do. */
export function nothingToUndo(about: string): DraftScript {
  return { about, statements: ['select 1'] };
}

/** The line that makes a backfill of an update. */
export function backfillLine({ sql, walk = [] }: TableFacts): string {
  return `backfill ${sql}${walk.length > 0 ? ` by ${walk.map(quoteWhereNeeded).join(', ')}` : ''}`;
}
