import type { ConnectionOptions } from '../options.ts';

/** The URL of a connection, with its password: for programs and psql, never for a log. */
export function embeddedServerUrl(connection: ConnectionOptions): string {
  const { hosts, user, password = '', database } = connection;
  const [address] = hosts;
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  return `postgresql://${login}@${address?.host}:${address?.port}/${encodeURIComponent(database)}?sslmode=disable`;
}
