import { type FoundMarker, findForeignMarkers } from '../migrate/files/foreign-markers.ts';
import { classifyStatement } from '../sql/kind.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import { commandLine } from '../text/command-line.ts';
import {
  type AdoptionFinding,
  adoptionFinding,
  cutStatements,
  type Section,
  trimLines,
} from './foreign.ts';
import { type OwnTable, relationTo } from './own-table.ts';

/** A script of evdb made of a section of another tool's file. */
export interface ConvertedScript {
  text: string;
  statements: Statement[];
  findings: AdoptionFinding[];
  /** Whether somebody has to mend it before a new database can be made with it. */
  isDoubtful: boolean;
  /** A marker of another tool with statements on both sides. */
  divider: FoundMarker | undefined;
}

const DIRECTIVE = '-- evdb: no-transaction\n';

/**
 * Makes a script of a section. The text stays as it is but for what means nothing to evdb, or
 * would be wrong there: pairs of `begin` and `commit`, statements about the tool's own table, markers of
 * yet another tool. What cannot run in a transaction, or asks not to, gets the directive. Pure.
 *
 * @param ownTable the tool's tracking table
 * @returns undefined where the section holds no statement
 */
export function convertSection(section: Section, ownTable?: OwnTable): ConvertedScript | undefined {
  const findings: AdoptionFinding[] = [];
  const markers = findForeignMarkers(section.text);
  const divider = markers.find((marker) => isBetween(marker, section.text));
  const unmarked = trimLines(cutLines(section.text, markers));
  const own = splitStatements(unmarked).filter(
    (one) => ownTable && relationTo(one, ownTable) === 'about',
  );
  findings.push(...own.map((one) => ownLeftOut(one, ownTable?.name)));
  let text = trimLines(cutStatements(unmarked, own));
  let statements = splitStatements(text);
  const unpaired = withoutPairs(text, statements, section.noTransaction);
  if (unpaired) {
    text = unpaired.text;
    statements = splitStatements(text);
    findings.push(adoptionFinding({ severity: 'info', message: unpaired.note }));
  }
  if (statements.length === 0) return undefined;
  const lone = statements.map(classifyStatement).find((one) => one.needsNoTransaction);
  if (lone && !section.noTransaction && !unpaired?.isStepwise) {
    const message = `"${lone.label}" needs no-transaction, so the directive is added`;
    findings.push(adoptionFinding({ severity: 'info', message }));
  }
  const isStepwise = lone || (unpaired ? unpaired.isStepwise : section.noTransaction);
  if (isStepwise) {
    text = DIRECTIVE + text;
    statements = splitStatements(text);
  }
  const doubts = findDoubts(statements, ownTable);
  const isDoubtful = doubts.length > 0;
  return { text, statements, findings: [...findings, ...doubts], isDoubtful, divider };
}

function isBetween({ start, end }: FoundMarker, text: string): boolean {
  return [text.slice(0, start), text.slice(end)].every((part) => splitStatements(part).length > 0);
}

function cutLines(text: string, markers: FoundMarker[]): string {
  return markers.reduceRight(
    (kept, { start, end }) => kept.slice(0, start) + kept.slice(end).replace(/^\n/, ''),
    text,
  );
}

function ownLeftOut({ command, line }: Statement, name = ''): AdoptionFinding {
  return adoptionFinding({
    severity: 'info',
    message: `its "${command}" on ${name} (statement in line ${line}) is left out: a database that evdb makes does not have that table`,
  });
}

/** What evdb would refuse on a database where it has to run, or what would fail there. */
function findDoubts(statements: Statement[], ownTable: OwnTable | undefined): AdoptionFinding[] {
  const [control] = statements.filter((one) => classifyStatement(one).isTransactionControl);
  const psql = statements.find(({ psqlCommand }) => psqlCommand !== null);
  const open = statements.find(({ unterminated }) => unterminated !== null);
  const own = statements.find((one) => ownTable && relationTo(one, ownTable));
  return [
    ...(control
      ? [doubt(control, `it contains "${control.command}", which evdb refuses to run`)]
      : []),
    ...(psql
      ? [doubt(psql, `it contains \\${psql.psqlCommand}, a psql command, which evdb refuses`)]
      : []),
    ...(open ? [doubt(open, 'a quote or comment in it is not closed')] : []),
    ...(own
      ? [doubt(own, `it names ${ownTable?.name}, which a database that evdb makes does not have`)]
      : []),
  ];
}

function doubt({ line }: Statement, message: string): AdoptionFinding {
  return adoptionFinding({
    severity: 'warning',
    message: `${message} (line ${line} of the new file)`,
    hint: `This matters for new databases. Put a corrected file with that name into the new folder before adopting, and it is taken unchanged. A file that is corrected later is accepted with: ${commandLine('migrate repair', { help: true })}`,
  });
}

/** A script whose own transactions were taken out. */
interface Unpaired {
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
function withoutPairs(
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
  return newValue ? 'a new enum value can be used only after it is committed' : undefined;
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
