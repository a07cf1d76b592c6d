// Certificates, and servers that offer TLS with them.

import { execFile } from 'node:child_process';
import { chmod, chown, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { closeSql, openSql } from './databases.ts';
import { POLL } from './waiting.ts';

const run = promisify(execFile);

/** Why no certificate can be made here; undefined where it can. */
export function whyNoOpenssl(): Promise<string | undefined> {
  return run('openssl', ['version']).then(
    () => undefined,
    () => 'openssl is not on the PATH',
  );
}

/** A key, and a certificate for `localhost` that it signed itself. */
export async function makeCertificate(
  folder: string,
  kind: readonly string[] = ['-newkey', 'rsa:2048'],
): Promise<{ key: string; certificate: string }> {
  const key = join(folder, 'server.key');
  const certificate = join(folder, 'server.crt');
  const request = ['req', '-x509', ...kind, '-nodes', '-days', '2'];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await run('openssl', [...request, ...subject, '-keyout', key, '-out', certificate]);
  return { key, certificate };
}

/**
 * Gives a server a certificate, and has it offer TLS.
 *
 * @returns PEM of the certificate
 */
export async function turnOnTls(
  url: string,
  dataDirectory: string,
  kind?: readonly string[],
): Promise<string> {
  const { key, certificate } = await makeCertificate(dataDirectory, kind);
  const { uid, gid } = await stat(dataDirectory);
  for (const path of [key, certificate]) {
    await chmod(path, 0o600);
    await chown(path, uid, gid);
  }
  const sql = openSql(url, 1);
  await sql`alter system set ssl = on`;
  await sql`select pg_reload_conf()`;
  await expect.poll(async () => (await sql`show ssl`)[0]?.ssl, POLL).toBe('on');
  await closeSql(sql);
  return readFile(certificate, 'utf8');
}
