import type { AuditChange, AuditEntry } from '../maintenance/audit-entry.ts';
import { renderTime } from '../text/units.ts';
import { oneLine } from './report-value.ts';
import type { Style } from './style.ts';

/** Entries of the audit log, each with its changes below it. */
export function renderEntries(entries: AuditEntry[], style: Style): string {
  return entries.map((entry) => renderEntry(entry, style)).join('\n');
}

/** One entry: when, what, by whom, and each column before and after. */
export function renderEntry(entry: AuditEntry, style: Style): string {
  const { id, createdAt, table, record, operation } = entry;
  const what = [oneLine(table), record, operation].filter((part) => part !== null).join(' ');
  const head = `${renderTime(createdAt)}  ${style.bold(what)}  ${renderWho(entry)}  ${style.dim(`#${id}`)}`;
  return [head, ...renderChanges(entry, style)].join('\n');
}

/** The columns of one entry: `title: "Jazz" → "Jazz II"`. */
export function renderChanges({ changes }: AuditEntry, style: Style): string[] {
  return changes.map((change) => `    ${renderChange(change, style)}`);
}

function renderWho({ actor, role, application }: AuditEntry): string {
  const session = oneLine(application === null ? role : `${role}, ${application}`);
  return actor === null ? `by ${session}` : `by ${oneLine(actor)} (${session})`;
}

function renderChange(change: AuditChange, style: Style): string {
  const column = oneLine(change.column);
  if ('isRedacted' in change) return `${column}: ${style.dim('changed; a secret is not kept')}`;
  const parts = [
    ...('old' in change ? [style.bad(renderJson(change.old))] : []),
    ...('new' in change ? [style.good(renderJson(change.new))] : []),
  ];
  const sign = 'old' in change ? ('new' in change ? '' : '- ') : '+ ';
  return `${sign}${column}: ${parts.join(' → ')}`;
}

/** As JSON, so that an empty text, null and the word "null" are told apart. */
function renderJson(value: unknown): string {
  return oneLine(JSON.stringify(value) ?? 'null');
}
