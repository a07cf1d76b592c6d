import { EvdbError } from '../../errors.ts';
import { MIB, renderBytes, renderCount, renderDuration } from '../../text/units.ts';

/*
 * When a backfill leaves the server alone: what the server shows is held against limits, and what is over
 * one of them is a reason to rest. Pure; `server-figures.ts` reads the figures.
 */

/** Above which figures a backfill rests; null for a figure that it does not look at. */
export interface ThrottleLimits {
  /** How long ago a standby replayed what the primary wrote, in ms. */
  lagMs: number | null;
  /** How much a standby has not replayed yet. */
  lagBytes: number | null;
  /** How much the server keeps for a logical slot that has not read it yet. */
  slotBytes: number | null;
  /** How many finished files of WAL wait to be archived. */
  archiveFiles: number | null;
  /** How many other sessions are at work. */
  activeSessions: number | null;
  /** How many dead rows the table has that autovacuum has not cleaned up. */
  deadRows: number | null;
  /** Beside other sessions at work: the share of the time that it works itself, in percent. */
  sharePercent: number | null;
}

/** The default limits. */
export const DEFAULT_THROTTLE: ThrottleLimits = {
  lagMs: 10_000,
  lagBytes: 256 * MIB,
  slotBytes: 1024 * MIB,
  archiveFiles: 32,
  activeSessions: 50,
  deadRows: 5_000_000,
  sharePercent: 50,
};

/** Looks at nothing. */
const NO_THROTTLE: ThrottleLimits = {
  lagMs: null,
  lagBytes: null,
  slotBytes: null,
  archiveFiles: null,
  activeSessions: null,
  deadRows: null,
  sharePercent: null,
};

/** A figure of something that has a name, such as a standby. */
export interface NamedFigure {
  name: string;
  lagMs: number | null;
  bytes: number | null;
}

/** What the server shows; null where it hides it from the role. */
export interface ServerFigures {
  standbys: NamedFigure[] | null;
  slots: NamedFigure[] | null;
  /** 0 where nothing is archived. */
  archiveFiles: number | null;
  activeSessions: number | null;
  /** 0 where autovacuum does not clean the table. */
  deadRows: number | null;
}

/** Why a backfill rests. */
export type RestCode =
  | 'standby-lag'
  | 'slot-lag'
  | 'archive'
  | 'active-sessions'
  | 'dead-rows'
  | 'waiting-sessions'
  | 'share'
  | 'max-rate'
  | 'window'
  | 'paused';

/** Why a backfill rests, for programs and in words. */
export interface RestReason {
  code: RestCode;
  message: string;
}

/** What is over its limit, with figure and limit. */
export function listReasons(figures: ServerFigures, limits: ThrottleLimits): RestReason[] {
  const { standbys, slots, archiveFiles, activeSessions, deadRows } = figures;
  const reasons: RestReason[] = [];
  for (const { name, lagMs, bytes } of standbys ?? []) {
    if (isOver(lagMs, limits.lagMs)) {
      const message = `standby ${name} replays ${renderDuration(lagMs)} late (limit ${renderDuration(limits.lagMs ?? 0)})`;
      reasons.push({ code: 'standby-lag', message });
    } else if (isOver(bytes, limits.lagBytes)) {
      const message = `standby ${name} has ${renderBytes(bytes)} to replay (limit ${renderBytes(limits.lagBytes ?? 0)})`;
      reasons.push({ code: 'standby-lag', message });
    }
  }
  for (const { name, bytes } of slots ?? []) {
    if (!isOver(bytes, limits.slotBytes)) continue;
    const message = `slot ${name} has ${renderBytes(bytes)} to read (limit ${renderBytes(limits.slotBytes ?? 0)})`;
    reasons.push({ code: 'slot-lag', message });
  }
  if (isOver(archiveFiles, limits.archiveFiles)) {
    const message = `${renderCount(archiveFiles, 'file')} of WAL wait to be archived (limit ${limits.archiveFiles})`;
    reasons.push({ code: 'archive', message });
  }
  if (isOver(activeSessions, limits.activeSessions)) {
    const message = `${renderCount(activeSessions, 'other session')} active (limit ${limits.activeSessions})`;
    reasons.push({ code: 'active-sessions', message });
  }
  if (isOver(deadRows, limits.deadRows)) {
    const message = `${renderCount(deadRows, 'dead row')} of the table wait for autovacuum (limit ${renderCount(limits.deadRows ?? 0, 'row')})`;
    reasons.push({ code: 'dead-rows', message });
  }
  return reasons;
}

function isOver(figure: number | null, limit: number | null): figure is number {
  return figure !== null && limit !== null && figure > limit;
}

/** The figures that have a limit and cannot be seen, in words. */
export function listHidden(figures: ServerFigures, limits: ThrottleLimits): string[] {
  const asked: [boolean, string][] = [
    [figures.standbys === null && limits.lagMs !== null, 'the lag of standbys'],
    [figures.slots === null && limits.slotBytes !== null, 'the lag of slots'],
    [
      figures.archiveFiles === null && limits.archiveFiles !== null,
      'the WAL that waits to be archived',
    ],
    [figures.activeSessions === null && limits.activeSessions !== null, 'the active sessions'],
    [figures.deadRows === null && limits.deadRows !== null, 'the dead rows of the table'],
  ];
  return asked.flatMap(([isHidden, what]) => (isHidden ? [what] : []));
}

/** How long to rest after a batch so that others get their share, in ms. */
export function restForShare(
  tookMs: number,
  { activeSessions }: Pick<ServerFigures, 'activeSessions'>,
  { sharePercent }: Pick<ThrottleLimits, 'sharePercent'>,
): number {
  if (sharePercent === null || !activeSessions) return 0;
  return tookMs * (100 / sharePercent - 1);
}

/** Hours of the day, in minutes since midnight. */
export interface Window {
  from: number;
  to: number;
}

/**
 * Reads `22:00-06:00`.
 *
 * @throws {EvdbError} USAGE
 * @example
 * await migrateUp({ ...options, backfill: { window: parseWindow('22:00-06:00') } });
 */
export function parseWindow(text: string): Window {
  const match = /^\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$/.exec(text);
  const [hour1 = 24, minute1 = 0, hour2 = 25, minute2 = 0] = match?.slice(1).map(Number) ?? [];
  const [from, to] = [hour1 * 60 + minute1, hour2 * 60 + minute2];
  const isGood = hour1 < 24 && minute1 < 60 && minute2 < 60 && to <= 24 * 60 && from !== to;
  if (isGood) return { from, to };
  throw new EvdbError('USAGE', `${JSON.stringify(text)} is not a part of the day`, {
    hint: 'Write two times of day, for example: --window 22:00-06:00',
  });
}

/** How long until the window is open, in ms; 0 while it is. By the clock of this machine. */
export function untilOpen({ from, to }: Window, now: Date): number {
  const minutes = now.getHours() * 60 + now.getMinutes();
  const isOpen = from < to ? minutes >= from && minutes < to : minutes >= from || minutes < to;
  if (isOpen) return 0;
  const opens = new Date(now);
  opens.setHours(0, from, 0, 0);
  if (opens <= now) opens.setDate(opens.getDate() + 1);
  return opens.getTime() - now.getTime();
}

/** `22:00-06:00` */
export function renderWindow({ from, to }: Window): string {
  const time = (minutes: number) =>
    `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
  return `${time(from)}-${time(to)}`;
}

const NAMES = {
  lag: 'lagMs',
  'lag-bytes': 'lagBytes',
  slots: 'slotBytes',
  archive: 'archiveFiles',
  active: 'activeSessions',
  'dead-rows': 'deadRows',
  share: 'sharePercent',
} as const;

/**
 * Reads limits such as `lag=5s,slots=512MB,dead-rows=off`; what is not named keeps its default, and `off`
 * alone takes all of them away.
 *
 * @throws {EvdbError} USAGE
 * @example
 * await migrateUp({ ...options, backfill: { throttle: parseThrottle('lag=5s,share=25%') } });
 */
export function parseThrottle(text: string): ThrottleLimits {
  if (text.trim().toLowerCase() === 'off') return NO_THROTTLE;
  const limits = { ...DEFAULT_THROTTLE };
  for (const part of text.split(',')) {
    const [, name = '', value = ''] = /^\s*([a-z-]+)\s*=\s*(\S+)\s*$/i.exec(part) ?? [];
    const key = NAMES[name.toLowerCase() as keyof typeof NAMES];
    if (key === undefined) throw badLimit(part);
    limits[key] = value.toLowerCase() === 'off' ? null : parseLimit(key, value, part);
  }
  return limits;
}

const UNITS: Partial<Record<keyof ThrottleLimits, Record<string, number>>> = {
  lagMs: { ms: 1, s: 1000, min: 60_000 },
  lagBytes: { kb: 1024, mb: MIB, gb: 1024 * MIB },
  slotBytes: { kb: 1024, mb: MIB, gb: 1024 * MIB },
  sharePercent: { '%': 1 },
};
const COUNTS = { '': 1, k: 1000, m: 1_000_000 };

function parseLimit(key: keyof ThrottleLimits, value: string, part: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([a-z%]*)$/i.exec(value) ?? [];
  const factor = (UNITS[key] ?? COUNTS)[unit.toLowerCase() as never] as number | undefined;
  const number = Number(digits) * (factor ?? Number.NaN);
  const isShare = key === 'sharePercent';
  if (digits === '' || !(number >= 0) || (isShare && !(number >= 1 && number <= 100))) {
    throw badLimit(part);
  }
  return number;
}

function badLimit(part: string): EvdbError {
  return new EvdbError('USAGE', `${JSON.stringify(part.trim())} is not a limit of a backfill`, {
    hint: 'Write --throttle off, or some of: lag=10s,lag-bytes=256MB,slots=1GB,archive=32,active=50,dead-rows=5M,share=50% (each may be off).',
  });
}
