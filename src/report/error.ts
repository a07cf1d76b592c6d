import type { EvdbError } from '../errors.ts';
import type { ScriptLocation, ServerErrorReport } from '../migrate/files/script-error.ts';
import { renderAdoptionFinding } from './adoption.ts';
import { renderDiff } from './migration.ts';
import type { Style } from './table.ts';

/** The parts of an error that has a place in a script. */
interface Located {
  location?: ScriptLocation;
  excerpt?: string;
  server?: ServerErrorReport | undefined;
}

/** What happened, where, what PostgreSQL adds, and what to do next. */
export function renderError(error: EvdbError & Located, style: Style): string {
  const { location, excerpt, server, code, details } = error;
  const place = location ? `${location.file}:${location.line}:${location.column}: ` : '';
  const lines = [
    `${style.bad('error')} ${style.dim(error.code)}  ${place}${indent(error.message, 2)}`,
  ];
  if (excerpt) lines.push(excerpt);
  if (server?.detail) lines.push(`  detail: ${indent(server.detail, 10)}`);
  if (server?.hint) lines.push(`  server's hint: ${indent(server.hint, 17)}`);
  if (server?.where) lines.push(`  where: ${indent(server.where, 9)}`);
  if (server?.sqlstate) lines.push(`  sqlstate: ${server.sqlstate}`);
  if (typeof details.diff === 'string') lines.push(renderDiff(details.diff, style));
  if (Array.isArray(details.logTail))
    lines.push(...details.logTail.map((line) => `  log: ${line}`));
  if (code === 'ADOPTION_REFUSED' && Array.isArray(details.findings)) {
    lines.push(...details.findings.map((finding) => renderAdoptionFinding(finding, style)));
  }
  if (error.hint) lines.push(`  ${style.bold('hint:')} ${error.hint}`);
  return lines.join('\n');
}

/** Further lines are set in: what others wrote must not look like a line of ours. */
function indent(text: string, columns: number): string {
  return text.replaceAll('\n', `\n${' '.repeat(columns)}`);
}
