import { withInspection, withWriting } from '../../connection/inspection.ts';
import { EvdbError } from '../../errors.ts';
import {
  type EventPage,
  type FindEventsOptions,
  findEvents,
  readEvent,
  readEventSeats,
} from '../../events/events.ts';
import {
  type RegistrationReport,
  registerUsers,
  unregisterUsers,
} from '../../events/register-users.ts';
import { checkRegistrationOptions, requireIds } from '../../events/registration.ts';
import {
  eventsView,
  renderEvent,
  renderEventSeats,
  renderRegistrations,
} from '../../events/report.ts';
import { renderReport } from '../../report/render-report.ts';
import { commandLine, sameCommand } from '../../text/command-line.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import { loadConnection } from '../settings.ts';
import { loadRenderOptions } from './stats.ts';

export function handleList(input: CommandInput): Promise<CommandResult> {
  return find(input, undefined);
}

export function handleSearch(input: CommandInput): Promise<CommandResult> {
  return find(input, input.args.join(' '));
}

async function find(input: CommandInput, words: string | undefined): Promise<CommandResult> {
  const { flags, style } = input;
  const { from, until, location, limit, after } = flags as unknown as FindEventsOptions;
  const { config, connection } = await loadConnection(input);
  const page: EventPage = await withInspection(connection, (session) =>
    findEvents(session, {
      ...{ schema: config.schema, words, until, location, limit, after },
      from: flags.past ? null : from,
      withInactive: flags.inactive === true,
      onlyFree: flags.free === true,
    }),
  );
  const report = { rows: page.rows, countedSince: null, notes: [] };
  const text = renderReport(report, eventsView({ words }), (await loadRenderOptions(input))());
  const name = words === undefined ? 'list' : 'search';
  const more =
    page.next === null
      ? []
      : [style.dim(`more: ${sameCommand(`events ${name}`, { after: page.next })}`)];
  return { data: page, text: [text, ...more].join('\n') };
}

export async function handleShow(input: CommandInput): Promise<CommandResult> {
  const eventId = parseIds('event', input.args.slice(0, 1))[0] ?? 0;
  const { config, connection } = await loadConnection(input);
  const event = await withInspection(connection, (session) =>
    readEvent(session, { schema: config.schema, eventId }),
  );
  if (event === null) throw eventMissing(eventId);
  return { data: { event }, text: renderEvent(event, input.style) };
}

export async function handleStats(input: CommandInput): Promise<CommandResult> {
  const eventId = parseIds('event', input.args.slice(0, 1))[0] ?? 0;
  const { config, connection } = await loadConnection(input);
  const stats = await withInspection(connection, (session) =>
    readEventSeats(session, { schema: config.schema, eventId }),
  );
  if (stats === null) throw eventMissing(eventId);
  return { data: { stats }, text: renderEventSeats(stats, input.style) };
}

export async function handleRegister(input: CommandInput): Promise<CommandResult> {
  const { waitlist, hold } = input.flags as { waitlist?: boolean; hold?: number };
  const asked = { joinWaitlist: waitlist === true, holdMs: hold };
  checkRegistrationOptions(asked);
  return change(input, (session, options) => registerUsers(session, { ...options, ...asked }));
}

export async function handleUnregister(input: CommandInput): Promise<CommandResult> {
  const keep = input.flags.keep === true;
  return change(input, (session, options) => unregisterUsers(session, { ...options, keep }));
}

async function change(input: CommandInput, work: typeof unregisterUsers): Promise<CommandResult> {
  const [event = '', ...users] = input.args;
  const eventId = parseIds('event', [event])[0] ?? 0;
  const userIds = parseIds('user', users);
  const { config, connection } = await loadConnection(input);
  const report: RegistrationReport = await withStop(
    input.context,
    { said: 'rolling back' },
    (signal) =>
      withWriting(
        connection,
        (session) => work(session, { schema: config.schema, eventId, userIds, signal }),
        { signal },
      ),
  );
  return {
    data: report,
    text: renderRegistrations(report, input.style),
    exitCode: report.refused > 0 ? EXIT.failed : EXIT.done,
  };
}

/** Ids as people type them; refused before anything is asked. */
function parseIds(what: 'event' | 'user', texts: string[]): number[] {
  return texts.map((text) => {
    if (!/^\d{1,10}$/.test(text)) {
      const article = what === 'event' ? 'an' : 'a';
      throw new EvdbError('USAGE', `"${text}" is not the id of ${article} ${what}`, {
        hint: 'Nothing was changed. Ids are whole numbers from 1 up.',
      });
    }
    requireIds(what, [Number(text)]);
    return Number(text);
  });
}

function eventMissing(eventId: number): EvdbError {
  return new EvdbError('EVENT_MISSING', `event ${eventId} does not exist`, {
    hint: `\`${commandLine('events list', { past: true, inactive: true })}\` lists all events.`,
    details: { eventId },
  });
}
