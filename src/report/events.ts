import type { RegistrationOutcome, RegistrationReport } from '../maintenance/event-registration.ts';
import type { EventDetails, EventRow, EventSeats } from '../maintenance/events.ts';
import { renderTime } from '../text/units.ts';
import type { ReportColumn, ReportView } from './columns.ts';
import { oneLine, renderValue } from './report-value.ts';
import type { Style } from './style.ts';

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
    empty: () => (words === undefined ? 'no events in this time' : 'no event has these words'),
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
      ['seats', `${currentRegistrations} taken and ${heldSeats} held of ${capacity}`],
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
      ['seats', `${numbers.capacity}${numbers.isFull ? `, ${style.warn('full')}` : ''}`],
      ['free', String(numbers.availableSpots)],
      ['confirmed', String(numbers.confirmed)],
      ['pending', `${numbers.pending} (${numbers.heldSeats} hold a seat)`],
      ['waiting', String(numbers.waitlist)],
      ['cancelled', String(numbers.cancelled)],
      ['registrations', String(numbers.total)],
    ],
    style,
  );
}

function renderFields(fields: [name: string, text: string][], style: Style): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, text]) => `${style.dim(name.padEnd(width))}  ${text}`).join('\n');
}

/** What became of each user. */
export function renderRegistrations(report: RegistrationReport, style: Style): string {
  const { results, succeeded, refused, eventId } = report;
  const lines = results.map((one) => renderOutcome(one, style));
  const count = `event ${eventId}: ${succeeded} done, ${refused} refused`;
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
