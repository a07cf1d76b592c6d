import { classifyStatement } from '../sql/kind.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import { cutStatements, trimLines } from './cut.ts';

/** A script whose own transactions were taken out. */
export interface Unpaired {
  text: string;
  /** Whether its statements have to commit one by one, as between its transactions they did. */
  isStepwise: boolean;
  note: string;
}

/**
 * Takes pairs of `begin` and `commit` out of a script, because evdb writes its own. What they
 * parted becomes one transaction, unless something in it needs a commit before it or none around it:
 * then the statements run one by one. Pure.
 *
 * @param noTransaction whether the script asks for no transaction around it
 * @returns undefined where there are none, or none that mean no more than that: options, a rollback, a half
 */
export function withoutPairs(
  text: string,
  statements: Statement[],
  noTransaction: boolean,
): Unpaired | undefined {
  const segments = readSegments(statements);
  if (!segments) return undefined;
  const controls = statements.filter(isControl);
  const kept = trimLines(cutStatements(text, controls));
  if (splitStatements(kept).length !== statements.length - controls.length) return undefined;
  const filled = segments.filter((segment) => segment.statements.length > 0);
  if (filled.length <= 1 && filled[0]?.isInside !== false) {
    const note = 'the begin and commit around it are left out';
    return { text: kept, isStepwise: false, note };
  }
  const reason = whyStepwise(filled) ?? (noTransaction ? 'the file asks for that' : undefined);
  const isStepwise = reason !== undefined;
  const inside = filled.filter(({ isInside }) => isInside).flatMap((one) => one.statements);
  if (inside.some(isStepwise ? needsItsTransaction : endsWithItsTransaction)) return undefined;
  const effect = isStepwise
    ? `its statements run one by one, because ${reason}`
    : 'evdb runs it as one transaction';
  return { text: kept, isStepwise, note: `its begin and commit are left out: ${effect}` };
}

interface Segment {
  /** Whether it stands in a transaction of the script. */
  isInside: boolean;
  statements: Statement[];
}

function isControl(statement: Statement): boolean {
  return classifyStatement(statement).isTransactionControl;
}

/** What stands in the transactions and between them; a `commit` at first ends the one of the tool. */
function readSegments(statements: Statement[]): Segment[] | undefined {
  const controls = statements.filter(isControl);
  const kinds = controls.map(kindOf);
  const [first] = kinds;
  const isAlternating = kinds.every((kind, at) => kind !== undefined && kind !== kinds[at - 1]);
  if (first === undefined || !isAlternating || kinds.length % 2 !== 0) return undefined;
  const segments: Segment[] = [{ isInside: first === 'commit', statements: [] }];
  for (const statement of statements) {
    const kind = isControl(statement) ? kindOf(statement) : undefined;
    if (kind) segments.push({ isInside: kind === 'begin', statements: [] });
    else segments.at(-1)?.statements.push(statement);
  }
  return segments;
}

/** Undefined where it says more than that, such as an isolation level. */
function kindOf({ text }: Statement): 'begin' | 'commit' | undefined {
  const words = text.toLowerCase().replaceAll(/\s+/g, ' ');
  if (/^(?:begin(?: (?:work|transaction))?|start transaction)$/.test(words)) return 'begin';
  return /^(?:commit|end)(?: (?:work|transaction))?$/.test(words) ? 'commit' : undefined;
}

function whyStepwise(segments: Segment[]): string | undefined {
  const all = segments.flatMap(({ statements }) => statements);
  const lone = all.map(classifyStatement).find(({ needsNoTransaction }) => needsNoTransaction);
  if (lone) return `"${lone.label}" needs no-transaction`;
  const newValue = segments.slice(0, -1).some(({ statements }) => statements.some(addsValue));
  return newValue ? 'a new value of an enum can be used only when it is committed' : undefined;
}

function addsValue({ command, text }: Statement): boolean {
  return command === 'alter type' && /\badd\s+value\b/i.test(text);
}

/** What has no effect, or fails, where the next statement is in another transaction. */
function needsItsTransaction(statement: Statement): boolean {
  return (
    endsWithItsTransaction(statement) ||
    /^(?:set\s+(?:local|constraints|transaction)|lock|declare|fetch|savepoint|release|rollback)\b/i.test(
      statement.text,
    )
  );
}

/** What would live longer than the script wants where its transactions become one. */
function endsWithItsTransaction({ command, text }: Statement): boolean {
  return command === 'create table' && /\bon\s+commit\s+(?:drop|delete)\b/i.test(text);
}
