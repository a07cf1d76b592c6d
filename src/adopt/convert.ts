import { type FoundMarker, findForeignMarkers } from '../migrate/files/foreign-markers.ts';
import { classifyStatement } from '../sql/kind.ts';
import { type Statement, splitStatements } from '../sql/statements.ts';
import { commandLine } from '../text/command-line.ts';
import { cutStatements, trimLines } from './cut.ts';
import type { AdoptionFinding, Section } from './foreign.ts';
import { type OwnTable, relationTo } from './own-table.ts';
import { withoutPairs } from './transaction-pairs.ts';

type Finding = Omit<AdoptionFinding, 'file'>;

/** A script of evdb made of a section of another tool's file. */
export interface ConvertedScript {
  text: string;
  statements: Statement[];
  findings: Finding[];
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
  const findings: Finding[] = [];
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
    findings.push({ severity: 'note', message: unpaired.note });
  }
  if (statements.length === 0) return undefined;
  const lone = statements.map(classifyStatement).find((one) => one.needsNoTransaction);
  if (lone && !section.noTransaction && !unpaired?.isStepwise) {
    const message = `"${lone.label}" needs no-transaction, so the directive is added`;
    findings.push({ severity: 'note', message });
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

function ownLeftOut({ command, line }: Statement, name = ''): Finding {
  return {
    severity: 'note',
    message: `its "${command}" on ${name} (statement in line ${line}) is left out: a database that evdb makes does not have that table`,
  };
}

/** What evdb would refuse on a database where it has to run, or what would fail there. */
function findDoubts(statements: Statement[], ownTable: OwnTable | undefined): Finding[] {
  const [control] = statements.filter((one) => classifyStatement(one).isTransactionControl);
  const psql = statements.find(({ psqlCommand }) => psqlCommand !== null);
  const open = statements.find(({ unterminated }) => unterminated !== null);
  const own = statements.find((one) => ownTable && relationTo(one, ownTable));
  return [
    ...(control
      ? [doubt(control, `"${control.command}" stands in it, which evdb refuses to run`)]
      : []),
    ...(psql
      ? [doubt(psql, `\\${psql.psqlCommand} of psql stands in it, which evdb refuses`)]
      : []),
    ...(open ? [doubt(open, 'a quote or comment in it is not closed')] : []),
    ...(own
      ? [doubt(own, `it names ${ownTable?.name}, which a database that evdb makes does not have`)]
      : []),
  ];
}

function doubt({ line }: Statement, message: string): Finding {
  return {
    severity: 'warning',
    message: `${message} (line ${line} of the new file)`,
    hint: `It matters for a new database. Put a mended file of that name into the new folder before adopting: it is then taken as it is. Later, a repair accepts a mended one: ${commandLine('migrate repair', { help: true })}`,
  };
}
