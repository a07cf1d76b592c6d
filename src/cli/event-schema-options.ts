import { InvalidArgumentError, Option } from 'commander';
import { connectionOptions } from './options.ts';

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
