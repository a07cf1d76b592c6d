import { InvalidArgumentError, Option } from 'commander';
import type { EvdbError } from '../errors.ts';
import { parseDuration } from '../text/units.ts';

/** The options of all commands; `processContext` looks for them itself, so they may stand anywhere. */
export function outputOptions(): Option[] {
  return [
    new Option('-q, --quiet', 'print results and errors only: no progress, notes or warnings'),
    new Option(
      '--no-color',
      'print no colours (as does NO_COLOR; FORCE_COLOR prints them to files)',
    ),
  ];
}

/** The options of every command that talks to a database. */
export function connectionOptions(): Option[] {
  return [
    new Option('--url <url>', 'connection URL (else EVDB_URL, DATABASE_URL, DB_*, PG*)'),
    new Option('--embedded', 'use the embedded PostgreSQL in .evdb'),
    ...configOptions(),
  ];
}

/** The options of commands that read the configuration. */
export function configOptions(): Option[] {
  return [
    new Option('--env <name>', 'environment of the config file (else EVDB_ENV)'),
    new Option('--config <path>', 'config file, instead of searching for one'),
  ];
}

/** The options of every command on migrations. */
export function migrateOptions(): Option[] {
  return [
    ...connectionOptions(),
    new Option('--schema <name>', 'schema to migrate (default: public)'),
    new Option('--migrations-dir <path>', 'folder of the migrations (default: migrations)'),
    setOption(),
  ];
}

/** Gives variables of migrations their values. */
export function setOption(): Option {
  return repeated('--set <name=value>', 'value of a variable that files declare (repeatable)');
}

/** The options of commands that take the runner's lock. */
export function runOptions(): Option[] {
  return [
    ...migrateOptions(),
    new Option('--lock-wait <duration>', 'how long to wait for another runner (default: 60s)'),
    new Option('--lock-timeout <duration>', 'how long a statement may wait for table locks'),
    new Option(
      '--lock-wait-budget <duration>',
      'how long to keep trying for table locks (default: ten tries in about 100 s)',
    ),
    new Option('--statement-timeout <duration>', 'how long a statement may run'),
    new Option('--verbose', 'show each statement with its duration'),
    new Option('--progress <format>', 'how progress is printed on stderr (default: text)').choices([
      'text',
      'json',
    ]),
  ];
}

/** How backfills run, and give way to others. */
export function backfillOptions(): Option[] {
  return [
    new Option('--throttle <limits>', 'when backfills rest, such as lag=5s,share=25%, or off'),
    new Option('--max-rate <n>', 'how many rows a second a backfill changes at most').argParser(
      parseCount,
    ),
    new Option('--window <times>', 'when backfills work, such as 22:00-06:00'),
    new Option(
      '--workers <n>',
      'how many parts of its table a backfill works on at a time (default: 1)',
    ).argParser(parseWorkers),
  ];
}

/** Each has a connection of its own. */
const MOST_WORKERS = 64;

function parseWorkers(text: string): number {
  const workers = parseCount(text);
  if (workers <= MOST_WORKERS) return workers;
  throw new InvalidArgumentError(`It must be at most ${MOST_WORKERS}.`);
}

export function stepsOption(description: string): Option {
  return new Option('--steps <n>', description).argParser(parseCount);
}

export function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a positive whole number.');
}

/** How a report is shown. */
export function reportOptions(): Option[] {
  return [
    new Option('--markdown', 'print a Markdown table').conflicts('json'),
    new Option('--full', 'show every column and every value in full, however wide'),
  ];
}

/** Reads a duration in ms; whoever writes a bare number means seconds, as with watch(1). */
export function parseSeconds(text: string): number {
  try {
    return parseDuration(/^[\d.]+$/.test(text) ? `${text}s` : text);
  } catch (error) {
    throw new InvalidArgumentError((error as EvdbError).hint ?? '');
  }
}

/** What only a run with `--fleet` can be given, as commander names it. */
export const OF_FLEETS = ['concurrency', 'keepGoing', 'stopOnFailure', 'memberTimeout', 'logDir'];
export const OF_WAVES = ['canary', 'waveSize', 'wavePause', 'waveCheck', 'failureBudget', 'resume'];

/** The options of commands that run for the members of a fleet. */
export function fleetOptions(writes: boolean): Option[] {
  const options = [
    new Option(
      '--fleet <name>',
      'run for each member of this fleet (see the key fleets of the config file)',
    ),
    repeated(
      '--only <label=value>',
      'only these members, such as region=eu,us or name=tenant_*; may be repeated',
    ),
    new Option('--concurrency <n>', 'how many members at a time (default: 8)').argParser(
      parseCount,
    ),
    new Option('--keep-going', 'go on whatever fails').conflicts('stopOnFailure'),
    new Option('--stop-on-failure', 'begin no other member once one has failed'),
    new Option(
      '--member-timeout <duration>',
      'how long one member may take (default: any time)',
    ).argParser(parseSeconds),
    new Option('--log-dir <path>', 'write what each member prints to a file of its own'),
    ...(writes ? waveOptions() : []),
  ];
  return options.map((option) => option.helpGroup('With a fleet:'));
}

/** How a command that changes something goes through a fleet. */
function waveOptions(): Option[] {
  return [
    new Option('--canary <members>', 'these go first: a number, or label=value'),
    new Option('--wave-size <members>', 'so many at a time: a number, or a share'),
    new Option('--wave-pause <duration>', 'how long to wait after a wave').argParser(parseSeconds),
    repeated(
      '--wave-check <check>',
      'go on after a wave only if this is fine: doctor, query:… or command:…; may be repeated',
    ),
    new Option(
      '--failure-budget <members>',
      'how many may fail before no other one begins (default: 0)',
    ).conflicts(['keepGoing', 'stopOnFailure']),
    new Option('--resume', 'go on with the run that was interrupted'),
  ];
}

/** One option that may be given several times. */
export function repeated(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text, before: string[] | undefined) => [
    ...(before ?? []),
    text,
  ]);
}

/** The options of every command on the event schema. */
export function eventSchemaOptions(): Option[] {
  return [
    ...connectionOptions(),
    new Option('--schema <name>', 'schema that holds the event schema (default: public)'),
  ];
}

/** Reads a whole number between two bounds. */
export function parseWithin(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,10}$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

const AGO = /^(\d{1,5})(min|h|d)$/;
const UNIT_MS = { min: 60_000, h: 3_600_000, d: 86_400_000 };
const MOMENT =
  /^([1-9]\d{3}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?))?(Z|[+-]\d\d(?::?\d\d)?)?$/;

/**
 * Reads a moment: `2026-11-22`, `2026-11-22 14:00`, with or without a zone, else in that of whoever
 * types it; or how long ago it was, such as `90min`, `12h` or `7d`.
 */
export function parseMoment(text: string): Date {
  const [, amount, unit] = AGO.exec(text) ?? [];
  if (amount !== undefined) {
    return new Date(Date.now() - Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]);
  }
  const [, day, time = '00:00', zone = ''] = MOMENT.exec(text) ?? [];
  const full = zone.length === 3 ? `${zone}:00` : zone;
  const moment = new Date(`${day}T${time}${full}`);
  // 31 November is the first of December to Date
  const isReal = new Date(`${day}T00:00Z`).toJSON()?.startsWith(day ?? 'none') === true;
  if (isReal && !Number.isNaN(moment.getTime())) return moment;
  throw new InvalidArgumentError(
    'It must be a time such as 2026-11-22, "2026-11-22 14:00" or 2026-11-22T14:00Z, or how long ago, such as 90min, 12h or 7d.',
  );
}
