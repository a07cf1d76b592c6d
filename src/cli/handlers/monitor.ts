import { setTimeout as sleep } from 'node:timers/promises';
import { withInspection } from '../../connection/inspection.ts';
import type { ConnectionOptions } from '../../connection/options.ts';
import type { Session } from '../../connection/session.ts';
import { EvdbError } from '../../errors.ts';
import { endSession } from '../../monitor/end-session.ts';
import { frameOf } from '../../monitor/frame.ts';
import { MONITOR_VIEWS, type MonitorLook, type MonitorView } from '../../monitor/look.ts';
import { createMonitorReader, type MonitorReader } from '../../monitor/read.ts';
import { renderMonitor, renderMonitorText } from '../../monitor/screen.ts';
import {
  type MonitorEffect,
  type MonitorEvent,
  type MonitorKey,
  monitorStep,
  startMonitor,
} from '../../monitor/state.ts';
import type { CommandInput, CommandResult } from '../define.ts';
import type { FullScreen } from '../full-screen.ts';
import { printable, toJsonLook } from '../output.ts';
import { loadDirectConnection } from '../settings.ts';
import { watch } from '../watch.ts';

interface Monitoring {
  connection: ConnectionOptions;
  schema: string;
  view: MonitorView;
  intervalMs: number;
  /** How many looks are made; undefined for as many as it takes. */
  count: number | undefined;
}

export async function handleMonitor(input: CommandInput): Promise<CommandResult> {
  const { flags, context } = input;
  const { config, connection } = await loadDirectConnection(input);
  const monitoring: Monitoring = {
    ...{ connection, schema: config.schema },
    view: (flags.view as MonitorView | undefined) ?? 'activity',
    intervalMs: (flags.interval as number | undefined) ?? 1000,
    count: flags.count as number | undefined,
  };
  if (flags.json) return printFrames(input, monitoring);
  if (context.openFullScreen) return runOnTerminal(input, monitoring);
  context.note(
    'This is no terminal, so it is one look; --json prints one a second, each as a line.\n',
  );
  return printLook(input, monitoring);
}

/** Each session has a reader of its own: what it knows of the server is gone with it. */
function readerOf(schema: string): (session: Session) => MonitorReader {
  const readers = new WeakMap<Session, MonitorReader>();
  return (session) => {
    const reader = readers.get(session) ?? createMonitorReader(session, { schema });
    readers.set(session, reader);
    return reader;
  };
}

/** Those that only show what happens between two looks. */
const OF_TWO_LOOKS: ReadonlySet<MonitorView> = new Set(['rates', 'statements', 'sale']);

async function printLook(
  { context, style }: CommandInput,
  { connection, schema, view, intervalMs }: Monitoring,
): Promise<CommandResult> {
  const looks = await withInspection(connection, async (session) => {
    const reader = createMonitorReader(session, { schema });
    const first = await reader.look([view]);
    if (!OF_TWO_LOOKS.has(view)) return [first];
    await sleep(intervalMs);
    return [first, await reader.look([view])];
  });
  let state = startMonitor(view);
  for (const look of looks) ({ state } = monitorStep(state, { kind: 'look', look }));
  const width = context.outSize().columns ?? Number.POSITIVE_INFINITY;
  return { data: {}, text: renderMonitorText(state, { width, style }).join('\n') };
}

/** Two for the rates, and the half minute that statements and sales are counted over. */
const KEPT_LOOKS = 61;

async function printFrames(
  { context }: CommandInput,
  { connection, schema, intervalMs, count }: Monitoring,
): Promise<CommandResult> {
  const reader = readerOf(schema);
  const stop = new AbortController();
  const looks: MonitorLook[] = [];
  let made = 0;
  const result = await watch(context, {
    ...{ connection, intervalMs, stop: stop.signal },
    look: (session) => reader(session).look(MONITOR_VIEWS),
    show: (look) => {
      looks.push(look);
      if (looks.length > KEPT_LOOKS) looks.shift();
      context.outVerbatim(toJsonLook('monitor', frameOf(looks)));
      made += 1;
      if (made === count) stop.abort();
    },
    warn: (text) => context.note(`${text}\n`),
  });
  return { ...result, data: { looks: made } };
}

async function runOnTerminal(input: CommandInput, monitoring: Monitoring): Promise<CommandResult> {
  const { connection, intervalMs, count } = monitoring;
  const reader = readerOf(monitoring.schema);
  const stop = new AbortController();
  const monitor = createMonitor(input, monitoring, stop);
  let made = 0;
  return watch(input.context, {
    ...{ connection, intervalMs, stop: stop.signal },
    look: async (session) => {
      await monitor.act(session);
      const { isPaused, view } = monitor.state();
      return isPaused ? undefined : reader(session).look([view]);
    },
    show: (look) => {
      monitor.happen({ kind: 'look', look });
      made += 1;
      if (made === count) stop.abort();
    },
    begin: monitor.open,
    warn: (message) => monitor.happen({ kind: 'lost', message }),
    pause: monitor.pause,
    end: monitor.close,
  });
}

/** The state, the screen that shows it, and what its keys ask for. */
function createMonitor(
  { context, style }: CommandInput,
  { connection, view, intervalMs }: Monitoring,
  stop: AbortController,
) {
  const acts: Extract<MonitorEffect, { kind: 'act' }>[] = [];
  const title = `${connection.database ?? ''} at ${connection.hosts?.[0]?.host ?? ''}`;
  let state = startMonitor(view);
  let screen: FullScreen | undefined;
  let wake: () => void = () => undefined;

  function draw(): void {
    const { columns = 80, rows = 24 } = context.outSize();
    const options = { width: columns, height: rows, style, intervalMs, title };
    screen?.draw(renderMonitor(state, options).map((line) => printable(line)));
  }

  function happen(event: MonitorEvent): void {
    const { state: next, effect } = monitorStep(state, event);
    state = next;
    draw();
    if (effect) carryOut(effect);
  }

  function carryOut(effect: MonitorEffect): void {
    if (effect.kind === 'suspend') screen?.suspend();
    else if (effect.kind === 'quit') {
      stop.abort(effect.isInterrupt ? new EvdbError('INTERRUPTED', 'interrupted') : undefined);
    } else {
      if (effect.kind === 'act') acts.push(effect);
      wake();
    }
  }

  return {
    state: () => state,
    happen,
    act: async (session: Session) => {
      for (let act = acts.shift(); act; act = acts.shift()) {
        happen({ kind: 'said', message: await endSession(session, act.target, act.action) });
      }
    },
    open: async () => {
      const onKey = (key: MonitorKey) => happen({ kind: 'key', key });
      screen = await context.openFullScreen?.({ onKey, onResize: draw });
      draw();
    },
    close: () => screen?.leave(),
    pause: (durationMs: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(done, durationMs);
        signal.addEventListener('abort', done, { once: true });
        wake = done;
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        }
      }),
  };
}
