import { classifyStatement } from '../sql/kind.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import type { AdoptionFinding, Section } from './foreign.ts';

/** A script of evdb made of a section of another tool's file. */
export interface ConvertedScript {
  text: string;
  statements: Statement[];
  findings: Omit<AdoptionFinding, 'file'>[];
}

const DIRECTIVE = '-- evdb: no-transaction\n';

/**
 * Makes a script of a section. The text stays as it is but for two things: a `begin` and `commit`
 * around all of it go, because evdb writes its own, and what cannot run in a transaction, or asks
 * not to, gets the directive. Pure.
 *
 * @returns undefined where the section holds no statement
 */
export function convertSection({ text, noTransaction }: Section): ConvertedScript | undefined {
  const trimmed = trimLines(text);
  const statements = splitStatements(trimmed);
  if (statements.length === 0) return undefined;
  const findings: ConvertedScript['findings'] = [];
  const unwrapped = withoutTransaction(trimmed, statements);
  if (unwrapped !== undefined) {
    findings.push({ severity: 'note', message: 'the begin and commit around it are left out' });
    const inner = splitStatements(unwrapped);
    return { text: unwrapped, statements: inner, findings: [...findings, ...doubts(inner)] };
  }
  findings.push(...doubts(statements));
  const outside = statements
    .map(classifyStatement)
    .find(({ needsNoTransaction }) => needsNoTransaction);
  if (!noTransaction && !outside) return { text: trimmed, statements, findings };
  if (!noTransaction && outside) {
    findings.push({
      severity: 'note',
      message: `"${outside.label}" needs no-transaction, so the directive is added`,
    });
  }
  const marked = DIRECTIVE + trimmed;
  return { text: marked, statements: splitStatements(marked), findings };
}

function trimLines(text: string): string {
  return `${text.replace(/^(?:[ \t]*\n)+/, '').trimEnd()}\n`;
}

/** The text without `begin` at its beginning and `commit` at its end; undefined for any other. */
function withoutTransaction(text: string, statements: Statement[]): string | undefined {
  const controls = statements.filter(
    (statement) => classifyStatement(statement).isTransactionControl,
  );
  const [begin, commit] = controls;
  if (controls.length !== 2 || begin !== statements[0] || commit !== statements.at(-1)) {
    return undefined;
  }
  if (!isPlain(begin, /^(begin|start transaction)$/) || !isPlain(commit, /^(commit|end)$/)) {
    return undefined;
  }
  const kept = trimLines(cut(cut(text, commit as Statement), begin as Statement));
  return splitStatements(kept).length === statements.length - 2 && statements.length > 2
    ? kept
    : undefined;
}

function isPlain(statement: Statement | undefined, command: RegExp): boolean {
  const words = statement?.text.toLowerCase().replace(/\s+(work|transaction)$/, '') ?? '';
  return command.test(words === 'start' ? 'start transaction' : words);
}

/** With its semicolon, and with its line where nothing else stands there. */
function cut(text: string, { start, end }: Statement): string {
  const semicolon = /^\s*;/.exec(text.slice(end))?.[0].length ?? 0;
  const before = text.slice(0, start);
  const after = text.slice(end + semicolon);
  const isAlone = /(^|\n)[ \t]*$/.test(before) && /^[ \t]*(\n|$)/.test(after);
  return isAlone ? before.replace(/[ \t]*$/, '') + after.replace(/^[ \t]*\n?/, '') : before + after;
}

/** What evdb would refuse on a database where it has to run. */
function doubts(statements: Statement[]): ConvertedScript['findings'] {
  const [control] = statements.filter((one) => classifyStatement(one).isTransactionControl);
  const psql = statements.find(({ psqlCommand }) => psqlCommand !== null);
  const open = statements.find(({ unterminated }) => unterminated !== null);
  return [
    ...(control
      ? [doubt(control, `"${control.command}" stands in it, which evdb refuses to run`)]
      : []),
    ...(psql
      ? [doubt(psql, `\\${psql.psqlCommand} of psql stands in it, which evdb refuses`)]
      : []),
    ...(open ? [doubt(open, 'a quote or comment in it is not closed')] : []),
  ];
}

function doubt({ line }: Statement, message: string): ConvertedScript['findings'][number] {
  return {
    severity: 'warning',
    message: `${message} (line ${line} of the new file)`,
    hint: 'It matters for a new database: mend the new file before you use it there.',
  };
}
