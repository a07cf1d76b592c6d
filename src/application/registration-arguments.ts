import { EvdbError } from '../errors.ts';

/** What a registration asks for beside a seat. */
export interface RegistrationOptions {
  /** Wait where no seat is free, instead of the refusal `full`. Default false. */
  joinWaitlist?: boolean | undefined;
  /** Hold the seat for so long, at most a day, instead of confirming it. */
  holdMillis?: number | undefined;
}

/** How a registration is given back. */
export interface UnregistrationOptions {
  /** Keep the row with the status `cancelled` instead of removing it. Default false. */
  keep?: boolean | undefined;
}

const MAX_ID = 2_147_483_647;
const MAX_HOLD_MILLIS = 86_400_000;

/**
 * Refuses what cannot be the id of a user or an event, before anything is sent.
 *
 * @throws EvdbError `USAGE`
 */
export function requireId(what: 'userId' | 'eventId', value: unknown): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_ID) return;
  throw new EvdbError('USAGE', `${what} is ${describe(value)}, not a whole number from 1 up`, {
    hint: `Give ${what} as a number from 1 to ${MAX_ID}, such as Number(request.params.id).`,
  });
}

/**
 * @returns the options, or undefined where they ask for nothing beyond the plain registration
 * @throws EvdbError `USAGE`
 */
export function checkOptions(
  options: RegistrationOptions | undefined,
): RegistrationOptions | undefined {
  if (options === undefined) return undefined;
  const { joinWaitlist = false, holdMillis } = options;
  if (typeof joinWaitlist !== 'boolean') {
    throw new EvdbError('USAGE', `joinWaitlist is ${describe(joinWaitlist)}, not a boolean`, {
      hint: 'Give true to wait where the event is full.',
    });
  }
  if (holdMillis !== undefined && !isHold(holdMillis)) {
    throw new EvdbError('USAGE', `holdMillis is ${describe(holdMillis)}, not 1 ms to a day`, {
      hint: `Give milliseconds from 1 to ${MAX_HOLD_MILLIS}, such as 10 * 60_000.`,
    });
  }
  return joinWaitlist || holdMillis !== undefined ? { joinWaitlist, holdMillis } : undefined;
}

/** @throws EvdbError `USAGE` */
export function checkKeep({ keep = false }: UnregistrationOptions = {}): boolean {
  if (typeof keep === 'boolean') return keep;
  throw new EvdbError('USAGE', `keep is ${describe(keep)}, not a boolean`, {
    hint: 'Give true to keep the row as cancelled.',
  });
}

function isHold(value: unknown): boolean {
  return typeof value === 'number' && value >= 1 && value <= MAX_HOLD_MILLIS;
}

function describe(value: unknown): string {
  if (typeof value === 'string') return `the text ${JSON.stringify(value.slice(0, 40))}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
