import type { CounterName, MonitorLook, SaleLook } from '../../src/monitor/look.ts';
import { COUNTERS } from '../../src/monitor/look.ts';
import {
  type MonitorEffect,
  type MonitorState,
  monitorStep,
  startMonitor,
} from '../../src/monitor/state.ts';
import type { ActivityRow } from '../../src/stats/activity.ts';

const START = Date.parse('2026-01-02T03:04:05Z');

/** A look of a server, so many seconds after the first one. */
export function lookAt(
  seconds: number,
  parts: Partial<MonitorLook> & { counters?: Partial<Record<CounterName, number>> } = {},
): MonitorLook {
  const { counters = {}, ...rest } = parts;
  const all = Object.fromEntries(COUNTERS.map((name) => [name, counters[name] ?? 0]));
  return {
    pulse: {
      at: new Date(START + seconds * 1000),
      database: 'shop',
      connections: { total: 7, max: 100, active: 2, idleInTransaction: 1, waiting: 0 },
      counters: all as Record<CounterName, number>,
      waits: [],
    },
    notes: [],
    ...rest,
  };
}

/** A session at work. */
export function sessionRow(pid: number, parts: Partial<ActivityRow> = {}): ActivityRow {
  return {
    ...{ pid, leaderPid: null, database: 'shop', user: 'app', application: 'api', client: null },
    ...{ backendType: 'client backend', state: 'active', statement: `select ${pid}` },
    ...{ isHidden: false, statementMs: 5, stateMs: 5, transactionStart: null },
    ...{ transactionMs: pid, waitsFor: null, snapshotAge: null },
    ...parts,
  };
}

/** A sale of events, each with its capacity and what is taken of it. */
export function saleOf(
  events: Record<number, [capacity: number, confirmed: number]>,
  parts: Partial<SaleLook> = {},
): SaleLook {
  return {
    events: Object.entries(events).map(([id, [capacity, confirmed]]) => ({
      ...{ id: Number(id), title: `Event ${id}`, capacity, confirmed, held: 0 },
      startsAt: new Date(START),
    })),
    queues: [],
    registered: 0,
    ...parts,
  };
}

/** The state after looks and keys, and what the last key asked for. */
export function play(
  steps: readonly (MonitorLook | string)[],
  from: MonitorState = startMonitor(),
): { state: MonitorState; effect: MonitorEffect | undefined } {
  let state = from;
  let effect: MonitorEffect | undefined;
  for (const step of steps) {
    const event =
      typeof step === 'string'
        ? ({ kind: 'key', key: keyOf(step) } as const)
        : ({ kind: 'look', look: step } as const);
    ({ state, effect } = { effect: undefined, ...monitorStep(state, event) });
  }
  return { state, effect };
}

/** As `node:readline` reports it: `C-c`, names such as `down`, and characters. */
function keyOf(text: string) {
  if (text.startsWith('C-')) return { name: text.slice(2), ctrl: true, sequence: '\u0003' };
  if (text.length > 1) return { name: text, sequence: `\u001b[${text}` };
  // Digits and punctuation have no name.
  const name = /[a-z]/i.test(text) ? text.toLowerCase() : undefined;
  return { name: text === ' ' ? 'space' : name, sequence: text };
}
