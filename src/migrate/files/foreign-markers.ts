import { EvdbError } from '../../errors.ts';
import { listComments } from '../../sql/comments.ts';
import { locate } from '../../sql/position.ts';
import { splitStatements } from '../../sql/statements.ts';
import { commandLine } from '../../text/command-line.ts';

/** What the files of one tool hold beside SQL. Each pattern is for a whole line, with the flag `m`. */
export interface ForeignMarkers {
  /** As its people call it. */
  tool: string;
  /** What `migrate adopt --from` calls it; absent where there is no adapter. */
  adoptAs?: string;
  /** Where the part that goes up begins. */
  up?: RegExp;
  /** Where the part that comes back begins. */
  down?: RegExp;
  /** Asks for no transaction, on a line of its own or as a part of the one that begins a part. */
  noTransaction?: RegExp;
  /** Other lines that only this tool reads. */
  other?: RegExp;
  /** Words that any comment may say: they count only between statements. */
  isLoose?: boolean;
}

/**
 * The markers that tools put into files of SQL: one description for whoever reads their files and
 * for whoever refuses them in evdb's own. A pattern is as exact as the tool itself is.
 */
export const FOREIGN_MARKERS = {
  dbmate: {
    tool: 'dbmate',
    adoptAs: 'dbmate',
    up: /^--[ \t]*migrate:up([ \t]*$|[ \t]+\S+.*$)/m,
    down: /^--[ \t]*migrate:down([ \t]*$|[ \t]+\S+.*$)/m,
    noTransaction: /^--[ \t]*migrate:(?:up|down)[ \t](?:.*[ \t])?transaction:false(?=[ \t]|$)/m,
  },
  goose: {
    tool: 'goose',
    adoptAs: 'goose',
    up: /^--[ \t]*\+goose[ \t]+up[ \t]*$/im,
    down: /^--[ \t]*\+goose[ \t]+down[ \t]*$/im,
    noTransaction: /^--[ \t]*\+goose[ \t]+no transaction[ \t]*$/im,
    other: /^--[ \t]*\+goose[ \t]+(?:statementbegin|statementend|envsub[ \t].*)[ \t]*$/im,
  },
  'sql-migrate': {
    tool: 'sql-migrate',
    up: /^--[ \t]*\+migrate[ \t]+up\b.*$/im,
    down: /^--[ \t]*\+migrate[ \t]+down\b.*$/im,
    noTransaction: /^--[ \t]*\+migrate[ \t]+(?:up|down)[ \t]+notransaction\b.*$/im,
    other: /^--[ \t]*\+migrate[ \t]+(?:statementbegin|statementend)\b.*$/im,
  },
  micrate: {
    tool: 'micrate',
    up: /^--[ \t]*\+micrate[ \t]+up\b.*$/im,
    down: /^--[ \t]*\+micrate[ \t]+down\b.*$/im,
  },
  rambler: {
    tool: 'rambler',
    up: /^--[ \t]*rambler[ \t]+up[ \t]*$/m,
    down: /^--[ \t]*rambler[ \t]+down[ \t]*$/m,
  },
  tern: {
    tool: 'tern',
    down: /^---- create above \/ drop below ----[ \t]*$/m,
    noTransaction: /^---- tern: disable-tx ----[ \t]*$/m,
  },
  mybatis: {
    tool: 'MyBatis Migrations',
    down: /^[ \t]*--[ \t]*\/\/[ \t]*@undo[ \t]*$/im,
  },
  shmig: {
    tool: 'shmig',
    up: /^--[ \t]*={2,}[ \t]*UP[ \t]*={2,}[ \t]*$/m,
    down: /^--[ \t]*={2,}[ \t]*DOWN[ \t]*={2,}[ \t]*$/m,
  },
  play: {
    tool: 'Play evolutions',
    up: /^--[ \t-]*![ \t]*Ups\b.*$/m,
    down: /^--[ \t-]*![ \t]*Downs\b.*$/m,
  },
  liquibase: {
    tool: 'Liquibase',
    noTransaction: /^--[ \t]*changeset[ \t]+[^:\n]+:.*\brunInTransaction:"?false\b.*$/im,
    other: /^--[ \t]*(?:liquibase[ \t]+formatted[ \t]+sql|changeset[ \t]+[^:\s][^:\n]*:\S).*$/im,
  },
  'graphile-migrate': {
    tool: 'graphile-migrate',
    adoptAs: 'graphile-migrate',
    noTransaction: /^--![ \t]*no-transaction\b.*$/m,
    other: /^--! (?:Previous|Hash|Message|AllowInvalidHash)\b.*$/m,
  },
  sqlx: {
    tool: 'sqlx',
    adoptAs: 'sqlx',
    // at its first byte alone
    noTransaction: /^(?<![\s\S])-- no-transaction\b.*$/m,
  },
  atlas: { tool: 'Atlas', noTransaction: /^--[ \t]*atlas:txmode[ \t]+none[ \t]*$/m },
  evolve: { tool: 'Evolve', noTransaction: /^--[ \t]*evolve-tx-off[ \t]*$/m },
  yoyo: { tool: 'yoyo', noTransaction: /^--[ \t]*transactional:[ \t]*false[ \t]*$/m },
  'node-pg-migrate': {
    tool: 'node-pg-migrate',
    adoptAs: 'node-pg-migrate',
    up: /^[ \t]*--[ \t-]*up[ \t]+migration.*$/im,
    down: /^[ \t]*--[ \t-]*down[ \t]+migration.*$/im,
    isLoose: true,
  },
  unknown: {
    tool: 'another tool',
    up: /^[ \t]*--+[ \t]*@?up[ \t:;-]*$/im,
    down: /^[ \t]*--+[ \t]*@?(?:down|undo|rollback)[ \t:;-]*$/im,
    isLoose: true,
  },
} satisfies Record<string, ForeignMarkers>;

const EVERY: ForeignMarkers[] = Object.values(FOREIGN_MARKERS);
type Meaning = 'up' | 'down' | 'noTransaction' | 'other';
const MEANINGS = ['up', 'down', 'noTransaction', 'other'] as const;

/** Says no quickly for what nearly every file is: one without a marker. */
const HINTS_AT_MARKER =
  /migrate:|\+goose|\+migrate|\+micrate|rambler|drop below|tern:|@undo|==|![ \t]*(?:ups|downs)|liquibase|changeset|^--!|no-transaction|atlas:|evolve-tx|transactional:|--[ \t-]*@?(?:up|down|undo|rollback)/im;

/** A marker of another tool in a script. */
export interface FoundMarker {
  markers: ForeignMarkers;
  meaning: Meaning;
  /** The line as it stands there, without the white space around it. */
  text: string;
  /** Where the line begins and ends, in UTF-16 units. */
  start: number;
  end: number;
}

/**
 * The markers of other tools among the comments of a script, in the order of the text. What looks
 * like one inside a string or a function's body is none. Pure.
 */
export function findForeignMarkers(text: string): FoundMarker[] {
  if (!text.includes('--') || !HINTS_AT_MARKER.test(text)) return [];
  const found = EVERY.flatMap((markers) =>
    MEANINGS.flatMap((meaning) => match(text, markers, meaning)),
  );
  if (found.length === 0) return [];
  const statements = splitStatements(text);
  const comments = listComments(text, statements);
  const isComment = ({ start, text: line }: FoundMarker) => {
    const dashes = text.indexOf(line, start);
    return comments.some((comment) => comment.start <= dashes && dashes < comment.end);
  };
  const isBetween = ({ start }: FoundMarker) =>
    statements.some((one) => one.end <= start) &&
    statements.some((one) => one.start >= start) &&
    statements.every((one) => one.end <= start || one.start >= start);
  return found
    .filter((one) => isComment(one) && (!one.markers.isLoose || isBetween(one)))
    .sort((a, b) => a.start - b.start);
}

function match(text: string, markers: ForeignMarkers, meaning: Meaning): FoundMarker[] {
  const pattern = markers[meaning];
  if (!pattern) return [];
  return matchEvery(pattern, text).map((line) => ({
    ...{ markers, meaning, text: line[0].trim() },
    start: line.index,
    end: line.index + line[0].length,
  }));
}

/** Every line of a text that a marker's pattern matches. */
export function matchEvery(pattern: RegExp, text: string): RegExpExecArray[] {
  return [...text.matchAll(new RegExp(pattern.source, `${pattern.flags}g`))];
}

/** The text without the first line that the pattern matches. */
export function withoutMarker(pattern: RegExp, text: string): string {
  const line = pattern.exec(text);
  if (!line) return text;
  return text.slice(0, line.index) + text.slice(line.index + line[0].length).replace(/^\n/, '');
}

/**
 * Refuses a script of evdb's folder that was written for another tool: evdb would take its halves for
 * one script and run both.
 *
 * @param firstLine the line of the file that `text` begins in
 * @throws {EvdbError} FOREIGN_MARKER
 */
export function refuseForeignMarkers(text: string, path: string, firstLine = 1): void {
  const [first] = findForeignMarkers(text);
  if (!first) return;
  const line = locate(text, first.start).line + firstLine - 1;
  throw new EvdbError(
    'FOREIGN_MARKER',
    `${path}:${line}: ${JSON.stringify(first.text)} is a marker of ${first.markers.tool}, which means nothing to evdb`,
    { hint: wayOut(first), details: { file: path, line } },
  );
}

function wayOut({ markers: { adoptAs }, meaning, text }: FoundMarker): string {
  if (adoptAs !== undefined) {
    return `Take the folder over with \`${commandLine('migrate adopt', { from: adoptAs })}\`, which writes files of evdb into another folder${ofOwn(meaning)}.`;
  }
  if (meaning === 'noTransaction') return 'Write instead: -- evdb: no-transaction';
  if (meaning === 'other') {
    return `evdb does not read this format: write each part as a file NNN_name.sql of its own, with the rollback in NNN_name.down.sql. What a database has already is counted as applied: \`${commandLine('migrate baseline', { help: true })}\`.`;
  }
  return `Put what follows ${JSON.stringify(text)} into a file of its own: NNN_name.sql applies, NNN_name.down.sql rolls back. What a database has already is counted as applied: \`${commandLine('migrate baseline', { help: true })}\`.`;
}

function ofOwn(meaning: Meaning): string {
  return meaning === 'noTransaction'
    ? "; in a file that is evdb's own, write: -- evdb: no-transaction"
    : "; in one that is evdb's own, put the rollback into NNN_name.down.sql";
}
