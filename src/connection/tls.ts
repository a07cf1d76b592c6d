import { readFileSync } from 'node:fs';
import { EvdbError } from '../errors.ts';
import type { ConnectionOptions, HostAddress } from './options.ts';

/**
 * What the driver wants in `ssl`; `prefer` falls back to plain text as libpq's does. The host is
 * named because an address has no server name, and Node would look for `localhost` in its
 * certificate then.
 */
export function tlsOptions(options: ConnectionOptions, { host }: HostAddress): unknown {
  const { sslMode } = options;
  if (sslMode === 'disable') return false;
  const files = {
    host,
    ...(options.sslRootCert && options.sslRootCert !== 'system'
      ? { ca: readPem(options.sslRootCert) }
      : {}),
    ...(options.sslCert ? { cert: readPem(options.sslCert) } : {}),
    ...(options.sslKey ? { key: readPem(options.sslKey) } : {}),
    ...Object.fromEntries(Object.entries(options.tls ?? {}).filter(([, pem]) => pem !== undefined)),
  };
  if (sslMode === 'verify-full' || options.sslRootCert === 'system') return files;
  // libpq: a root certificate turns `require` into `verify-ca`
  if (sslMode === 'verify-ca' || (sslMode === 'require' && options.sslRootCert)) {
    return { ...files, checkServerIdentity: () => undefined };
  }
  if (sslMode === 'require') return { ...files, rejectUnauthorized: false };
  return 'prefer';
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new EvdbError('CONFIG_INVALID', `cannot read the certificate file ${path}`, {
      hint: 'Check sslrootcert, sslcert and sslkey.',
      cause,
    });
  }
}
