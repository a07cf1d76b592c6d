import { connect, createServer, type Socket } from 'node:net';
import { closeSql, openSql } from './databases.ts';

/** A server that says it is of a major version which nobody's grammar here knows. */
export interface NewerServer {
  url: string;
  close(): Promise<void>;
}

/** The major version that it says it is. */
export const NEWER_MAJOR = 19;

/** A statement that only it knows; what the real server runs in its place makes a table. */
export const NEWER_STATEMENT = 'create property graph made_by_newer ()';
const MEANT = 'create table made_by_newer ()';
export const NEWER_TABLE = 'made_by_newer';

/**
 * Starts a proxy on a free loopback port before the server that `targetUrl` names. It passes all on
 * but for the version, which becomes `NEWER_MAJOR`, and for `NEWER_STATEMENT`, which the real server
 * could not read; both are replaced byte for byte, so no message changes its length.
 */
export async function startNewerServer(targetUrl: string): Promise<NewerServer> {
  const target = new URL(targetUrl);
  const version = await readVersion(targetUrl);
  const newer = (text: string) => `${NEWER_MAJOR}${text.slice(2)}`;
  const toClient: Replacement[] = [
    [`server_version\0${version.text}`, `server_version\0${newer(version.text)}`],
    [asValue(version.text), asValue(newer(version.text))],
    [version.number, newer(version.number)],
  ];
  const toServer: Replacement[] = [[NEWER_STATEMENT, MEANT.padEnd(NEWER_STATEMENT.length)]];
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connect(Number(target.port || 5432), target.hostname.replace(/^\[|\]$/g, ''));
    pass(client, server, toServer);
    pass(server, client, toClient);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
  });
  const port = await new Promise<number>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      if (address && typeof address === 'object') resolve(address.port);
    });
  });
  const url = new URL(targetUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return {
    url: url.href,
    close: () => {
      const ended = new Promise<void>((resolve) => listener.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      return ended;
    },
  };
}

async function readVersion(url: string): Promise<{ text: string; number: string }> {
  const sql = openSql(url, 1);
  const [row] = await sql`
    select current_setting('server_version') as text, current_setting('server_version_num') as number`;
  await closeSql(sql);
  return row as unknown as { text: string; number: string };
}

/** As it stands in a row: behind its length, of which no message ends with the last byte. */
function asValue(text: string): string {
  return String.fromCharCode(text.length) + text;
}

/** Of the same length. */
type Replacement = [from: string, to: string];

function pass(from: Socket, to: Socket, replacements: Replacement[]): void {
  let kept = '';
  from.setNoDelay(true);
  from.on('data', (chunk) => {
    // One character for each byte.
    let text = kept + chunk.toString('latin1');
    for (const [old, replaced] of replacements) text = text.replaceAll(old, replaced);
    kept = beginningAtEnd(text, replacements);
    to.write(text.slice(0, text.length - kept.length), 'latin1');
  });
  from.on('end', () => to.end(kept, 'latin1'));
  from.on('error', () => to.destroy());
}

/** What may be the beginning of something to replace, of which the rest has not come yet. */
function beginningAtEnd(text: string, replacements: Replacement[]): string {
  const longest = Math.max(...replacements.map(([old]) => old.length));
  for (let length = Math.min(longest - 1, text.length); length > 0; length--) {
    const end = text.slice(-length);
    if (replacements.some(([old]) => old.length > length && old.startsWith(end))) return end;
  }
  return '';
}
