import type { Socket } from 'node:net';
import type { Options } from 'postgres';
import { EvdbError } from '../errors.ts';
import type { ConnectionOptions, HostAddress } from './options.ts';
import type { OpenSessionOptions, Row } from './session.ts';
import { connectSocket } from './socket.ts';

/** One instance of the driver over one socket: it cannot reconnect, queue for others or pipeline. */
export interface Driver {
  readonly isClosed: boolean;
  run(text: string): Promise<Row[]>;
  end(): Promise<void>;
  destroy(): void;
}

/**
 * Makes one driver instance over a socket that we opened. The driver asks for a socket again
 * whenever it wants to reconnect; it is refused then, because a reconnected session would go on
 * in autocommit, without our transaction and without our lock.
 */
export async function createDriver(
  options: ConnectionOptions,
  address: HostAddress,
  { onNotice, signal }: OpenSessionOptions,
): Promise<Driver> {
  const [{ default: postgres }, socket] = await Promise.all([
    import('postgres'),
    connectSocket(address, options.connectTimeoutMs, signal),
  ]);
  const state = { isClosed: false };
  let unused: Socket | undefined = socket;
  const sql = postgres({
    ...(await driverOptions(options, address)),
    socket: () => takeSocket(),
    onnotice: (notice: unknown) => onNotice?.(notice as { severity: string; message: string }),
    onclose: () => {
      state.isClosed = true;
    },
  } as unknown as Options<Record<string, never>>);
  socket.once('close', () => {
    state.isClosed = true;
  });

  function takeSocket(): Socket {
    if (!unused)
      throw Object.assign(new Error('the server closed the connection'), {
        code: 'CONNECTION_CLOSED',
      });
    const taken = unused;
    unused = undefined;
    return taken;
  }

  return {
    get isClosed() {
      return state.isClosed;
    },
    run: async (text) => {
      if (state.isClosed) throw lost(address);
      return lastRows(await sql.unsafe(text).simple());
    },
    end: () => {
      // Once the goodbye is on its way there is nothing to wait for.
      socket.once('finish', () => socket.destroy());
      return sql.end({ timeout: 1 });
    },
    destroy: () => {
      state.isClosed = true;
      socket.destroy();
    },
  };
}

/** Every option is set, because the driver fills each gap from PG* variables of the environment. */
async function driverOptions(options: ConnectionOptions, address: HostAddress) {
  const isUnixSocket = address.host.startsWith('/');
  const { tlsOptions } = await import('./tls.ts');
  return {
    host: isUnixSocket ? 'localhost' : address.host,
    port: address.port,
    database: options.database,
    username: options.user,
    password: options.password ?? '',
    ssl: isUnixSocket ? false : tlsOptions(options),
    sslnegotiation: 'postgres',
    max: 1,
    idle_timeout: 0,
    max_lifetime: 0,
    connect_timeout: 0,
    max_pipeline: 1,
    backoff: false,
    keep_alive: 60,
    prepare: false,
    debug: false,
    fetch_types: false,
    publications: 'alltables',
    target_session_attrs: undefined,
    connection: {
      application_name: options.applicationName,
      ...(options.backendOptions ? { options: options.backendOptions } : {}),
    },
  };
}

/** A multi-statement message yields one result for each statement that returned rows. */
function lastRows(results: unknown): Row[] {
  const list = results as Row[] & { command?: string };
  if ('command' in list) return list;
  return (list as unknown as Row[][]).at(-1) ?? [];
}

function lost(address: HostAddress): EvdbError {
  return new EvdbError('CONNECTION_LOST', `the connection to ${address.host} is closed`, {
    hint: 'Run the command again.',
  });
}
