import type { Config } from '../../config/resolve.ts';
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
  RULES_VIEW,
  renderEvent,
  renderEventSeats,
  renderRegistrations,
  renderRepairs,
  renderViolationDetails,
  VIOLATIONS_VIEW,
} from '../../events/report.ts';
import {
  type BusinessRuleSeverity,
  checkBusinessRules,
  listBusinessRules,
  repairBusinessRules,
} from '../../events/rules.ts';
import { renderReport } from '../../report/render-report.ts';
import { commandLine, sameCommand } from '../../text/command-line.ts';
import { loadRenderOptions } from '../context.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import { EXIT, withStop } from '../exit-codes.ts';
import {
  describeTarget,
  environmentName,
  loadConnection,
  loadDirectConnection,
} from '../settings.ts';

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

/** Each registration is looked at: on a large database that takes a while. */
const CHECK_TIMEOUT_MS = 30 * 60_000;

export async function handleRulesCheck(input: CommandInput): Promise<CommandResult> {
  const severity = input.flags.severity as BusinessRuleSeverity;
  const { config, connection } = await loadDirectConnection(input);
  const { schema } = config;
  const { report, rules } = await withInspection(
    connection,
    async (session) => ({
      report: await checkBusinessRules(session, { schema, severity }),
      // Pipelines count what is fine too.
      rules:
        input.flags.format || input.flags.report
          ? (await listBusinessRules(session, { schema })).rows
          : [],
    }),
    { statementTimeoutMs: CHECK_TIMEOUT_MS },
  );
  const table = renderReport(report, VIOLATIONS_VIEW, (await loadRenderOptions(input))());
  const details = renderViolationDetails(report.rows, input.style);
  return {
    data: {
      ...{ countedSince: report.countedSince, notes: report.notes },
      findings: report.rows,
    },
    text: details === '' ? table : `${table}\n\n${details}`,
    pipeline: async () => {
      const { pipelineOfRules } = await import('../../events/report.ts');
      const kept = rules.filter((one) => severity !== 'error' || one.severity === 'error');
      return pipelineOfRules(report, kept);
    },
    exitCode: report.rows.length > 0 ? EXIT.found : EXIT.done,
  };
}

export async function handleRulesList(input: CommandInput): Promise<CommandResult> {
  const { config, connection } = await loadDirectConnection(input);
  const report = await withInspection(connection, (session) =>
    listBusinessRules(session, { schema: config.schema }),
  );
  return {
    data: report,
    text: renderReport(report, RULES_VIEW, (await loadRenderOptions(input))()),
  };
}

export async function handleRulesRepair(input: CommandInput): Promise<CommandResult> {
  const { flags, args, context } = input;
  const dryRun = flags.dryRun === true;
  const { config, connection } = await loadDirectConnection(input, (read) =>
    requireRepairConsent(input, read),
  );
  const result = await withStop(context, { said: 'rolling back' }, (signal) =>
    withWriting(
      connection,
      (session) =>
        repairBusinessRules(session, {
          schema: config.schema,
          rules: args.length > 0 ? args : undefined,
          severity: flags.severity as BusinessRuleSeverity,
          dryRun,
          signal,
        }),
      { signal },
    ),
  );
  return {
    data: {
      dryRun: result.dryRun,
      repairs: result.repairs,
      findings: result.remaining,
    },
    text: renderRepairs(result, input.style),
    exitCode: result.remaining.length > 0 ? EXIT.found : EXIT.done,
  };
}

/** As `migrate reset`: a protected environment is not changed, whatever is confirmed. */
function requireRepairConsent({ flags }: CommandInput, config: Config): void {
  if (flags.dryRun) return;
  if (config.isProtected) {
    const message = `rules repair of ${describeTarget(config)} is refused: ${environmentName(config)} is protected`;
    throw new EvdbError('PROTECTED_ENVIRONMENT', message, {
      hint: `Nothing was changed. --dry-run shows what would be; to do it, run the repair that \`${commandLine('rules list')}\` names as SQL, or take \`protected\` out of the config file first.`,
    });
  }
  if (flags.confirm) return;
  throw new EvdbError(
    'CONFIRM_REQUIRED',
    `rules repair changes registrations and counters in ${describeTarget(config)}`,
    {
      hint: `Nothing was changed. Look first (--dry-run), then: ${sameCommand('rules repair', { confirm: true })}`,
    },
  );
}
