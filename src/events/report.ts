import {
  oneLine,
  type ReportColumn,
  type ReportView,
  renderValue,
  type StatsReport,
  type Tone,
} from '../report/columns.ts';
import type { PipelineReport } from '../report/pipeline.ts';
import type { Style } from '../report/table.ts';
import { commandLine } from '../text/command-line.ts';
import {
  renderBytes,
  renderCount,
  renderDuration,
  renderNumber,
  renderTime,
} from '../text/units.ts';
import type {
  AuditCleanupPreview,
  AuditCleanupProgress,
  AuditCleanupResult,
} from './audit-cleanup.ts';
import type { AuditChange, AuditDimension, AuditEntry, AuditSummaryRow } from './audit-log.ts';
import type { EventDetails, EventRow, EventSeats } from './events.ts';
import type { RegistrationOutcome, RegistrationReport } from './register-users.ts';
import type {
  BusinessRule,
  BusinessRuleRepair,
  BusinessRuleViolation,
  RepairBusinessRulesResult,
} from './rules.ts';

/** A list of events; a search has what was found as well. */
export function eventsView({ words }: { words?: string | undefined }): ReportView<EventRow> {
  const found: ReportColumn<EventRow> = {
    header: 'found',
    value: ({ headline }) => headline && plainHeadline(headline),
    priority: 2,
  };
  return {
    title: words === undefined ? 'Events' : `Events: ${oneLine(words)}`,
    columns: [
      { header: 'id', value: ({ id }) => String(id) },
      { header: 'title', value: ({ title }) => title },
      { header: 'when', value: ({ dateTime }) => dateTime, unit: 'time' },
      { header: 'where', value: ({ location }) => location, priority: 1 },
      {
        header: 'free',
        value: ({ availableSpots }) => availableSpots,
        unit: 'count',
        tone: ({ availableSpots }) => (availableSpots === 0 ? 'warning' : undefined),
      },
      { header: 'seats', value: ({ capacity }) => capacity, unit: 'count', priority: 1 },
      {
        header: 'state',
        value: ({ isActive, dateTime }) => stateOf(isActive, dateTime),
        priority: 3,
        tone: ({ isActive }) => (isActive ? undefined : 'muted'),
      },
      ...(words === undefined ? [] : [found]),
    ],
    empty: () =>
      words === undefined ? 'no events in this period' : 'no event matches these words',
  };
}

function stateOf(isActive: boolean, dateTime: Date): string {
  if (!isActive) return 'inactive';
  return dateTime.getTime() > Date.now() ? 'upcoming' : 'begun';
}

const ENTITIES: Record<string, string> = {
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&amp;': '&',
};

/** The headline is HTML: its marks go, and what was escaped is text again. */
function plainHeadline(html: string): string {
  return html
    .replace(/<\/?mark>/g, '')
    .replace(/&(?:lt|gt|quot|#39|amp);/g, (entity) => ENTITIES[entity] ?? entity);
}

/** One event, a line for each of its values. */
export function renderEvent(event: EventDetails, style: Style): string {
  const { creator, createdBy, capacity, currentRegistrations, heldSeats } = event;
  const by = createdBy === null ? '-' : `${creator ?? 'unknown'} (user ${createdBy})`;
  return renderFields(
    [
      ['event', `${event.id}  ${oneLine(event.title)}`],
      ['when', renderTime(event.dateTime.toISOString())],
      ['where', renderValue(event.location, 'text')],
      ['state', stateOf(event.isActive, event.dateTime)],
      [
        'seats',
        `${renderNumber(currentRegistrations)} taken and ${renderNumber(heldSeats)} held of ${renderNumber(capacity)}`,
      ],
      ['created by', oneLine(by)],
      ['created', renderTime(event.createdAt.toISOString())],
      ['updated', renderTime(event.updatedAt.toISOString())],
      ['about', renderValue(event.description, 'text')],
    ],
    style,
  );
}

/** The seats of one event, a line for each number. */
export function renderEventSeats(seats: EventSeats, style: Style): string {
  const { id, title, dateTime, isActive, ...numbers } = seats;
  return renderFields(
    [
      ['event', `${id}  ${oneLine(title)}`],
      ['when', renderTime(dateTime.toISOString())],
      ['state', stateOf(isActive, dateTime)],
      [
        'seats',
        `${renderNumber(numbers.capacity)}${numbers.isFull ? `, ${style.warn('full')}` : ''}`,
      ],
      ['free', renderNumber(numbers.availableSpots)],
      ['confirmed', renderNumber(numbers.confirmed)],
      [
        'pending',
        `${renderNumber(numbers.pending)} (${renderCount(numbers.heldSeats, 'holds a seat', 'hold a seat')})`,
      ],
      ['waiting', renderNumber(numbers.waitlist)],
      ['cancelled', renderNumber(numbers.cancelled)],
      ['registrations', renderNumber(numbers.total)],
    ],
    style,
  );
}

function renderFields(fields: [name: string, text: string][], style: Style): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, text]) => `${style.dim(name.padEnd(width))}  ${text}`).join('\n');
}

/** The result for each user. */
export function renderRegistrations(report: RegistrationReport, style: Style): string {
  const { results, succeeded, refused, eventId } = report;
  const lines = results.map((one) => renderOutcome(one, style));
  const count = `event ${eventId}: ${renderNumber(succeeded)} done, ${renderNumber(refused)} refused`;
  return results.length > 1 ? [...lines, count].join('\n') : lines.join('\n');
}

function renderOutcome(outcome: RegistrationOutcome, style: Style): string {
  const { userId, message } = outcome;
  if (!outcome.success) {
    return `${style.bad('refused')}    user ${userId}  ${outcome.errorCode}  ${oneLine(message)}`;
  }
  const { status, waitlistPosition, holdExpiresAt } = outcome;
  const place = waitlistPosition == null ? '' : `, number ${waitlistPosition} in the queue`;
  const until = holdExpiresAt === undefined ? '' : `, until ${renderTime(holdExpiresAt)}`;
  return `${style.good(status.padEnd(9))}  user ${userId}  ${oneLine(message)}${place}${until}`;
}

const TONES: Record<string, Tone> = { error: 'critical', warning: 'warning' };

/** What `rules check` found. */
export const VIOLATIONS_VIEW: ReportView<BusinessRuleViolation> = {
  title: 'Broken rules',
  columns: [
    { header: 'rule', value: ({ code }) => code },
    { header: 'severity', value: ({ severity }) => severity, tone: (row) => TONES[row.severity] },
    { header: 'count', value: ({ details }) => details.count, unit: 'count' },
    {
      header: 'samples',
      value: ({ details }) => details.sampleIds.join(', ') || null,
      priority: 1,
      text: 'wraps',
    },
  ],
  empty: () => 'no rule is broken',
};

export const RULES_VIEW: ReportView<BusinessRule> = {
  title: 'Business rules',
  columns: [
    { header: 'rule', value: ({ rule }) => rule },
    { header: 'severity', value: ({ severity }) => severity, tone: (row) => TONES[row.severity] },
    { header: 'a violation is', value: ({ description }) => description, text: 'wraps' },
    { header: 'repair', value: ({ repair }) => repair, priority: 1 },
  ],
  empty: () => 'there are no rules',
};

/** What each broken rule means, with examples, and what mends it. */
export function renderViolationDetails(violations: BusinessRuleViolation[], style: Style): string {
  return violations
    .map((broken) =>
      [
        `${style.bold(broken.code)}: ${oneLine(broken.message)}`,
        `  ${repairOf(broken, violations)}`,
      ].join('\n'),
    )
    .join('\n');
}

function repairOf(
  { code, fix }: BusinessRuleViolation,
  broken: readonly BusinessRuleViolation[],
): string {
  if (fix === undefined) return NEEDS_DECISION;
  const command = commandLine('rules repair', { confirm: true }, { args: [code] });
  // No counter may be above the capacity.
  const isBlocked =
    COUNTER_RULES.includes(code) && broken.some((other) => other.code === 'capacity_exceeded');
  return isBlocked
    ? `repair: first raise the capacity of the events that break capacity_exceeded, then ${command}`
    : `repair: ${command}`;
}

const NEEDS_DECISION =
  'repair: needs a decision, see docs/event-schema-operations.md in the folder of the package';
const COUNTER_RULES = ['registration_count_mismatch', 'held_seats_mismatch'];

/** What the repairs did or would do, and what is left. */
export function renderRepairs(
  { dryRun, repairs, remaining }: RepairBusinessRulesResult,
  style: Style,
): string {
  const lines = repairs.map((repair) => renderRepair(repair, dryRun, style));
  if (repairs.length === 0) lines.push('nothing to repair');
  if (remaining.length > 0) {
    const names = remaining
      .map(({ code, details }) => `${code} (${renderNumber(details.count)})`)
      .join(', ');
    lines.push(style.warn(`${dryRun ? 'Would still be' : 'Still'} broken: ${names}`));
  }
  if (dryRun) lines.push('Nothing was changed (--dry-run).');
  return lines.join('\n');
}

function renderRepair(repair: BusinessRuleRepair, dryRun: boolean, style: Style): string {
  const { changed, unit, rules, notes, changes } = repair;
  const verb = dryRun ? 'would repair' : style.good('repaired');
  const shown = changes.flatMap((entry) => [
    `  ${oneLine(entry.table)} ${entry.record ?? ''} ${entry.operation}`,
    ...renderChanges(entry, style).map((line) => `  ${line}`),
  ]);
  return [
    `${verb}  ${rules.join(', ')}: ${renderCount(changed, unit.replace(/s$/, ''), unit)} by ${repair.repair}()`,
    ...notes.map((note) => `  ${oneLine(note)}`),
    ...shown,
    ...(changes.length === 100 ? ['  … and perhaps more: the audit log has them all'] : []),
  ].join('\n');
}

/**
 * What `checkBusinessRules` found, for a pipeline. Every broken rule is an error, as it is for the exit code.
 *
 * @param rules what `listBusinessRules` gave: those that are kept are test cases too
 */
export function pipelineOfRules(
  { rows }: StatsReport<BusinessRuleViolation>,
  rules: readonly BusinessRule[],
): PipelineReport {
  const names = new Set([...rules.map(({ rule }) => rule), ...rows.map(({ code }) => code)]);
  return {
    command: 'rules check',
    checks: [...names].map((name) => ({ name })),
    findings: rows.map((broken) => ({
      ...broken,
      check: broken.code,
      severity: 'error',
      message: `${renderCount(broken.details.count, 'violation')}: ${oneLine(broken.message)}`,
      ...(broken.fix !== undefined && {
        hint: repairOf(broken, rows),
      }),
    })),
    summary:
      rows.length === 0
        ? `${renderCount(names.size, 'rule')} checked: none is broken`
        : `${renderCount(names.size, 'rule')} checked: ${renderNumber(rows.length)} broken`,
  };
}

/** What a cleanup would do. */
export function previewView(days: number): ReportView<AuditCleanupPreview> {
  return {
    title: `What a cleanup of ${renderCount(days, 'day')} would remove`,
    columns: [
      { header: 'partition', value: ({ partition }) => partition },
      { header: 'action', value: ({ action }) => action },
      { header: 'entries', value: ({ entries }) => entries, unit: 'count' },
      { header: 'freed', value: ({ freedBytes }) => freedBytes, unit: 'bytes' },
    ],
    empty: () => `nothing to remove: no entry is older than ${renderCount(days, 'day')}`,
  };
}

function countEntries(count: number): string {
  return renderCount(count, 'entry', 'entries');
}

/** One line of progress, for stderr. */
export function renderCleanupProgress(progress: AuditCleanupProgress): string {
  switch (progress.kind) {
    case 'dropped': {
      const { partition, entries, freedBytes } = progress.partition;
      return `dropped ${oneLine(partition)}: ${countEntries(entries)}, ${renderBytes(freedBytes)}`;
    }
    case 'deleted':
      return `deleted ${countEntries(progress.done.deletedEntries)} so far`;
    case 'blocked':
      return `waiting for locks (try ${progress.attempt} of ${progress.attempts}): ${oneLine(progress.reason)}`;
  }
}

/** What a cleanup did, and what it left. */
export function renderCleanup(result: AuditCleanupResult, style: Style): string {
  const { partitions, droppedEntries, deletedEntries, freedBytes, days, durationMs } = result;
  const isNothing = partitions.length === 0 && deletedEntries === 0;
  const done = isNothing
    ? `nothing removed: no entry is older than ${renderCount(days, 'day')}`
    : [
        `dropped ${renderCount(partitions.length, 'partition')} with ${countEntries(droppedEntries)}`,
        `deleted ${countEntries(deletedEntries)}`,
        `freed ${renderBytes(freedBytes)} in ${renderDuration(durationMs)}`,
      ].join(', ');
  if (result.stoppedBy === 'max-duration') {
    const said = isNothing ? 'nothing removed' : done;
    return `${said}\n${style.warn('stopped by --max-duration')}: run it again for the rest`;
  }
  if (result.stoppedBy === 'locks') {
    const said = isNothing ? 'nothing removed' : done;
    return `${said}\n${style.warn('left for the next run')}: others hold the audit log. ${oneLine(result.blockedBy ?? '')}`;
  }
  return done;
}

const SUMMARY_COLUMNS: Record<AuditDimension, ReportColumn<AuditSummaryRow>> = {
  day: { header: 'day (UTC)', value: ({ day }) => day ?? null },
  table: { header: 'table', value: ({ table }) => table ?? null },
  operation: { header: 'operation', value: ({ operation }) => operation ?? null },
  actor: { header: 'actor', value: ({ actor }) => actor ?? null },
};

export function summaryView(by: readonly AuditDimension[]): ReportView<AuditSummaryRow> {
  return {
    title: `Audit log by ${by.join(', ')}`,
    columns: [
      ...by.map((name) => SUMMARY_COLUMNS[name]),
      { header: 'entries', value: ({ entries }) => entries, unit: 'count' },
      { header: 'first', value: ({ firstAt }) => new Date(firstAt), unit: 'time', priority: 2 },
      { header: 'last', value: ({ lastAt }) => new Date(lastAt), unit: 'time', priority: 1 },
    ],
    empty: () => 'no entry in this period',
  };
}

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
function renderChanges({ changes }: AuditEntry, style: Style): string[] {
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
