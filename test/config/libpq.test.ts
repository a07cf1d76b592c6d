import { rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();
const { resolveServer } = project;

describe('the libpq variables', () => {
  it('make a whole connection on their own', async () => {
    const { options, warnings } = await resolveServer({
      PGHOST: 'a,b',
      PGPORT: '1,2',
      PGDATABASE: 'shop',
      PGUSER: 'app',
      PGPASSWORD: 's3cret',
      PGSSLMODE: 'verify-ca',
      PGSSLROOTCERT: '/ca.pem',
      PGSSLCERT: '/c.pem',
      PGSSLKEY: '/k.pem',
      PGOPTIONS: '-c geqo=off',
      PGCONNECT_TIMEOUT: '4',
      PGTARGETSESSIONATTRS: 'primary',
      PGAPPNAME: 'shop-api',
    });
    expect(options).toEqual({
      hosts: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      database: 'shop',
      user: 'app',
      password: 's3cret',
      sslMode: 'verify-ca',
      sslRootCert: '/ca.pem',
      sslCert: '/c.pem',
      sslKey: '/k.pem',
      backendOptions: '-c geqo=off',
      connectTimeoutMs: 4000,
      targetSessionAttrs: 'primary',
      applicationName: 'shop-api',
    });
    expect(warnings).toEqual([]);
  });

  it('fill what a URL leaves out and change nothing that it says', async () => {
    const env = { PGHOST: 'pg', PGPORT: '7', PGUSER: 'pg', PGDATABASE: 'pg', PGPASSWORD: 'pg' };
    const { options } = await resolveServer(env, 'postgres://app@h/');
    expect(options).toMatchObject({
      hosts: [{ host: 'h', port: 7 }],
      user: 'app',
      database: 'pg',
      password: 'pg',
    });
  });

  it('do not lend the address of one host to another', async () => {
    const named = await resolveServer({ PGHOSTADDR: '10.0.0.9' }, 'postgres://app:x@h/d');
    expect(named.options.hosts).toEqual([{ host: 'h', port: 5432 }]);
    expect(named.text).not.toContain('10.0.0.9');
    const addressed = await resolveServer(
      { PGHOST: 'pg' },
      'postgres://app:x@/d?hostaddr=10.0.0.1',
    );
    expect(addressed.options.hosts).toEqual([{ host: '10.0.0.1', port: 5432 }]);
    expect([...named.warnings, ...addressed.warnings]).toEqual([]);
  });

  it.skipIf(process.platform === 'win32')(
    'and URLs without a host find the socket of this machine, the DB_ variables localhost',
    async () => {
      // No server listens on port 1, so the name of its socket is free.
      const socket = '/tmp/.s.PGSQL.1';
      writeFileSync(socket, '');
      try {
        const found = await resolveServer({ PGPORT: '1' }, 'postgres://app:x@/d');
        expect(found.options.hosts).toEqual([{ host: '/tmp', port: 1 }]);
        const db = await resolveServer({ DB_NAME: 'd', DB_PORT: '1', DB_PASSWORD: 'x' });
        expect(db.options.hosts).toEqual([{ host: 'localhost', port: 1 }]);
      } finally {
        rmSync(socket);
      }
    },
  );

  it.each(['PGHOST', 'PGHOSTADDR', 'PGPORT', 'PGDATABASE', 'PGUSER'])(
    'name a server as soon as %s is set',
    async (name) => {
      const config = await project.resolve({ env: { [name]: '5433' } });
      expect(config.connection.kind).toBe('server');
    },
  );

  it.each(['PGPASSWORD', 'PGPASSFILE', 'PGSSLMODE', 'PGAPPNAME', 'PGOPTIONS', 'PGHOST'])(
    'name no server when %s is all there is, or is empty',
    async (name) => {
      const value = name === 'PGHOST' ? '' : 'prefer';
      const config = await project.resolve({ env: { [name]: value } });
      expect(config.connection).toEqual({ kind: 'embedded', implicit: true });
    },
  );

  it.each([
    ['PGREQUIREAUTH', 'scram-sha-256'],
    ['PGGSSENCMODE', 'require'],
  ])('that ask for a protection which evdb cannot give are refused: %s', async (name, value) => {
    await expect(resolveServer({ PGHOST: 'h', [name]: value })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`environment ${name}: evdb cannot do`),
    });
  });

  it('ask for channel binding', async () => {
    const { options } = await resolveServer({ PGHOST: 'h', PGCHANNELBINDING: 'require' });
    expect(options.channelBinding).toBe('require');
  });

  it('with a wrong value are refused by name', async () => {
    await expect(resolveServer({ PGHOST: 'h', PGPORT: 's3cret' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'environment PGPORT: the port is not a number from 1 to 65535',
    });
    await expect(resolveServer({ PGHOST: 'h', PGSSLMODE: 'yes' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'environment PGSSLMODE: unknown value for sslmode',
    });
  });

  it('default the database to the user', async () => {
    const { options } = await resolveServer({ PGHOST: 'h', PGUSER: 'app' });
    expect(options.database).toBe('app');
  });
});
