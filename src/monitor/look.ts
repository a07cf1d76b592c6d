import type { ActivityRow } from '../stats/activity.ts';
import type { LockRow } from '../stats/locks.ts';
import type { ReplicationRow } from '../stats/replication.ts';

/** What a monitor shows, one at a time. */
export const MONITOR_VIEWS = [
  'activity',
  'waits',
  'locks',
  'rates',
  'statements',
  'replication',
  'sale',
] as const;

/** One of `MONITOR_VIEWS`. */
export type MonitorView = (typeof MONITOR_VIEWS)[number];

/** What the server counts, of which rates are made. */
export const COUNTERS = [
  'commits',
  'rollbacks',
  'rowsRead',
  'rowsInserted',
  'rowsUpdated',
  'rowsDeleted',
  'blocksHit',
  'blocksRead',
  'tempBytes',
  'walBytes',
  'deadlocks',
] as const;

/** What a rate is made of. */
export type CounterName = (typeof COUNTERS)[number];

/** What each look begins with. */
export interface MonitorPulse {
  /** By the server's clock. */
  at: Date;
  database: string;
  /** Of clients, on the whole server. */
  connections: {
    total: number;
    max: number;
    active: number;
    idleInTransaction: number;
    /** For a lock of any kind. */
    waiting: number;
  };
  /** Of this database since its counters began; null where the server does not say. */
  counters: Record<CounterName, number | null>;
  /** What active sessions wait for now; `CPU` for those that do not wait. */
  waits: { event: string; sessions: number }[];
}

/** What a statement has cost since its counters began. */
export interface StatementCounters {
  /** The same in every look. */
  id: string;
  /** Null if it is hidden. */
  query: string | null;
  calls: number;
  totalMs: number;
  rows: number;
}

/** An upcoming event, and who waits in its queue. */
export interface EventOnSale {
  id: number;
  title: string;
  startsAt: Date;
  capacity: number;
  confirmed: number;
  /** Pending registrations, which keep a seat for a while. */
  held: number;
}

/** Sessions that wait to register people for an event: one after the other gets its turn. */
export interface EventQueue {
  /** Events with the same number modulo 1024 share a queue. */
  slot: number;
  waiting: number;
  longestMs: number | null;
  /** The first of them. */
  sessions: { pid: number; application: string | null; waitMs: number | null }[];
}

/** What the event schema shows of a sale. */
export interface SaleLook {
  events: EventOnSale[];
  queues: EventQueue[];
  /** Rows that were inserted into registrations since the counters began. */
  registered: number | null;
}

/** One look at a server. What the view does not need was not read. */
export interface MonitorLook {
  pulse: MonitorPulse;
  activity?: ActivityRow[];
  locks?: LockRow[];
  statements?: StatementCounters[];
  replication?: ReplicationRow[];
  sale?: SaleLook;
  /** Why something is not there, as sentences. */
  notes: string[];
}
