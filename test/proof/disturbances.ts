import type postgres from 'postgres';
import type { FaultyProxy } from '../support/proxy.ts';
import type { Random } from '../support/random.ts';
import type { RunningCli } from '../support/run-cli.ts';

/** What disturbances can reach. */
export interface Reach {
  random: Random;
  proxy: FaultyProxy;
  admin: postgres.Sql;
  /** Ends the server as a crash does, and starts it again. */
  crashServer(): Promise<void>;
}

/** Something that goes wrong while a command runs. */
export interface Disturbance {
  name: string;
  /** Whether it needs a process that it can hit. */
  isOfProcess: boolean;
  /**
   * Begins it, and gives what ends it once the command is over: whether it struck.
   *
   * @param running the process, where it is one
   */
  begin(reach: Reach, running?: RunningCli): () => Promise<boolean>;
}

/** A whole command takes about as long. */
const LIBRARY_MS = 250;
const PROCESS_MS = 700;

function momentOf(random: Random, running: RunningCli | undefined): number {
  return random.below(running ? PROCESS_MS : LIBRARY_MS);
}

/** Does something after a while, unless the command is over by then. */
function later(ms: number, act: () => Promise<boolean>): () => Promise<boolean> {
  let acting: Promise<boolean> | undefined;
  const timer = setTimeout(() => {
    acting = act();
  }, ms);
  return async () => {
    clearTimeout(timer);
    return acting ?? false;
  };
}

function ofLine(name: string, arm: (reach: Reach) => void): Disturbance {
  return {
    name,
    isOfProcess: false,
    begin: (reach) => {
      arm(reach);
      return async () => {
        const struck = !reach.proxy.isArmed();
        reach.proxy.disarm();
        return struck;
      };
    },
  };
}

function ofBackends(name: string, call: 'pg_terminate_backend' | 'pg_cancel_backend'): Disturbance {
  return {
    name,
    isOfProcess: false,
    begin: ({ random, admin }, running) => {
      const both = random.below(3) === 0;
      return later(momentOf(random, running), async () => {
        const hit = await admin.unsafe(`
          select ${call}(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'evdb'
            and (${both} or pid in (select pid from pg_locks where locktype = 'advisory' and granted))`);
        return hit.length > 0;
      });
    },
  };
}

function ofSignal(signal: NodeJS.Signals): Disturbance {
  return {
    name: signal,
    isOfProcess: true,
    begin: ({ random }, running) =>
      later(momentOf(random, running), async () => running?.child.kill(signal) ?? false),
  };
}

async function setLimits(admin: postgres.Sql, value: string): Promise<void> {
  for (const name of ['idle_session_timeout', 'idle_in_transaction_session_timeout']) {
    await admin.unsafe(`alter database proof set ${name} = '${value}'`);
  }
}

/** Every disturbance that comes at a moment of chance. */
export const DISTURBANCES: readonly Disturbance[] = [
  ofLine('packet not sent', ({ proxy, random }) =>
    proxy.cutAtPacket(1 + random.below(60), { forward: false }),
  ),
  ofLine('answer not heard', ({ proxy, random }) =>
    proxy.cutAtPacket(1 + random.below(60), { forward: true }),
  ),
  ofLine('cut after bytes to the server', ({ proxy, random }) =>
    proxy.cutAfter(1 + random.below(12_000), 'toServer'),
  ),
  ofLine('cut after bytes to the client', ({ proxy, random }) =>
    proxy.cutAfter(1 + random.below(12_000), 'toClient'),
  ),
  {
    name: 'all connections reset',
    isOfProcess: false,
    begin: ({ random, proxy }, running) =>
      later(momentOf(random, running), async () => {
        const held = proxy.connections() > 0;
        proxy.cut();
        proxy.restore();
        return held;
      }),
  },
  {
    name: 'line silent for a moment',
    isOfProcess: false,
    begin: ({ random, proxy }, running) =>
      later(momentOf(random, running), async () => {
        const held = proxy.connections() > 0;
        proxy.silence();
        await new Promise((resolve) => setTimeout(resolve, 300));
        proxy.cut();
        proxy.restore();
        return held;
      }),
  },
  ofBackends('backend terminated', 'pg_terminate_backend'),
  ofBackends('backend cancelled', 'pg_cancel_backend'),
  {
    name: 'server crashed',
    isOfProcess: false,
    begin: ({ random, crashServer }, running) =>
      later(momentOf(random, running), async () => {
        await crashServer();
        return true;
      }),
  },
  {
    // Such as a database has them against forgotten sessions; who waits for a lock looks forgotten too.
    name: 'idle sessions ended after 20 ms',
    isOfProcess: false,
    begin: ({ admin }) => {
      const set = setLimits(admin, '20ms');
      return async () => {
        await set;
        await setLimits(admin, '0');
        return true;
      };
    },
  },
  ofSignal('SIGKILL'),
  ofSignal('SIGTERM'),
  ofSignal('SIGINT'),
  {
    name: 'SIGSTOP, backends terminated, SIGCONT',
    isOfProcess: true,
    begin: ({ random, admin }, running) =>
      later(momentOf(random, running), async () => {
        running?.child.kill('SIGSTOP');
        await admin`
          select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'evdb'`;
        return running?.child.kill('SIGCONT') ?? false;
      }),
  },
];
