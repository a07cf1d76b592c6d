import { expect } from 'vitest';
import { DatabasePool } from '../../src/pool/pool.ts';
import { closeSql, openSql } from '../support/databases.ts';
import { test as base } from '../support/fixture.ts';
import { startOwnServer, whyNoOwnServer } from '../support/own-server.ts';
import { turnOnTls, whyNoOpenssl } from '../support/tls.ts';
import { failureOf, POLL } from '../support/waiting.ts';

interface TlsServer {
  url: string;
  /** PEM of its certificate, which it signed itself, for `localhost`. */
  certificate: string;
}

const test = base.extend<{ server: TlsServer }>({
  server: async ({ skip }, use) => {
    const reason = whyNoOwnServer() ?? (await whyNoOpenssl());
    skip(reason !== undefined, reason);
    const server = await startOwnServer();
    try {
      const url = new URL(server.url);
      url.search = '';
      await use({ url: url.href, certificate: await turnOnTls(url.href, server.dataDirectory) });
    } finally {
      await server.remove();
    }
  },
});

const ENCRYPTED = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';

test('encrypts as ssl says, and checks the certificate and the name where it is given one', async ({
  server,
  project,
}) => {
  const { certificate } = server;
  const named = new URL(server.url);
  named.hostname = 'localhost';
  const byAddress = new URL(server.url);
  byAddress.hostname = '127.0.0.1';
  const connect = async (url: URL, ssl: ConstructorParameters<typeof DatabasePool>[0]) => {
    const pool = new DatabasePool({
      cwd: project.dir,
      env: {},
      connectionString: url.href,
      ...ssl,
    });
    try {
      const [row] = (await pool.query<{ ssl: boolean }>(ENCRYPTED)).rows;
      return row?.ssl;
    } finally {
      await pool.close();
    }
  };
  expect(await connect(named, {})).toBe(true);
  expect(await connect(named, { ssl: false })).toBe(false);
  expect(await connect(named, { ssl: true })).toBe(true);
  expect(await connect(named, { ssl: { rejectUnauthorized: false } })).toBe(true);
  expect(await connect(byAddress, { ssl: { rejectUnauthorized: false, ca: certificate } })).toBe(
    true,
  );
  expect(await connect(named, { ssl: { ca: certificate } })).toBe(true);
  expect(await connect(named, { ssl: { ca: Buffer.from(certificate) } })).toBe(true);
  for (const ssl of [{}, { ca: 'no certificate' }]) {
    expect(await failureOf(connect(named, { ssl }))).toMatchObject({ code: 'TLS_FAILED' });
  }
  // The certificate is not for the address.
  const wrongName = connect(byAddress, { ssl: { ca: certificate } });
  expect(await failureOf(wrongName)).toMatchObject({ code: 'TLS_FAILED' });
});

test('takes the file of a certificate from a URL, cancels over TLS, and hears why it was ended', async ({
  server,
  project,
}) => {
  const path = await project.write('ca.pem', server.certificate);
  const url = new URL(server.url);
  url.hostname = 'localhost';
  url.searchParams.set('sslmode', 'verify-full');
  url.searchParams.set('sslrootcert', path);
  const pool = new DatabasePool({ connectionString: url.href, max: 1 });
  const [backend] = await pool.sql`
    select pid, ssl from pg_stat_ssl where pid = pg_backend_pid()`;
  expect(backend).toMatchObject({ ssl: true });
  const stop = new AbortController();
  const sleeping = failureOf(pool.query('select pg_sleep(100)', [], { signal: stop.signal }));
  const busy = `select from pg_stat_activity where pid = ${backend?.pid} and state = 'active'`;
  const sql = openSql(server.url, 1);
  await expect.poll(() => sql.unsafe(busy), POLL).toHaveLength(1);
  stop.abort(new Error('enough'));
  expect(await sleeping).toMatchObject({ message: 'enough' });
  await expect.poll(() => sql.unsafe(busy), POLL).toHaveLength(0);
  await closeSql(sql);
  expect(await pool.sql`select 1 as n`).toEqual([{ n: 1 }]);
  expect(await failureOf(pool.sql`select pg_terminate_backend(pg_backend_pid())`)).toMatchObject({
    code: 'CONNECTION_LOST',
    message: expect.stringContaining('terminating connection due to administrator command'),
  });
  await pool.close();
});
