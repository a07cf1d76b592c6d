import { describe, expect, it } from 'vitest';
import { findPassword } from '../../src/config/libpq-files.ts';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();
const { resolveServer } = project;

describe('findPassword', () => {
  const target = { host: 'db', port: 5432, database: 'shop', user: 'app' };

  it.each([
    ['db:5432:shop:app:pw', 'pw'],
    ['*:*:*:*:pw', 'pw'],
    ['# db:5432:shop:app:no\n\ndb:5432:shop:app:pw\r\n', 'pw'],
    ['db:5432:shop:bob:no\ndb:*:shop:app:first\n*:*:*:*:second', 'first'],
    [String.raw`db:5432:shop:app:a\:b\\c`, String.raw`a:b\c`],
    ['db:5432:shop:app:pw:rest', 'pw'],
    ['db:5432:shop:app:', ''],
    ['db:5432:shop:app', undefined],
    ['db:5433:shop:app:pw', undefined],
    [String.raw`db:5432:shop:\*:pw`, undefined],
    ['', undefined],
  ])('finds in %o the password %o', (text, password) => {
    expect(findPassword(text, target)).toBe(password);
  });

  it('unescapes the fields that choose', () => {
    const text = String.raw`\:\:1:5432:my\\db:a\:b:pw`;
    expect(findPassword(text, { host: '::1', port: 5432, database: 'my\\db', user: 'a:b' })).toBe(
      'pw',
    );
  });

  it('finds the entry for localhost when the host is the default socket folder', () => {
    const socket = { ...target, host: '/var/run/postgresql' };
    expect(findPassword('localhost:5432:shop:app:pw', socket)).toBe('pw');
    expect(findPassword('/srv/pg:5432:shop:app:pw', { ...target, host: '/srv/pg' })).toBe('pw');
  });
});

describe('the password file', () => {
  it('in the home folder is used where nothing else has a password', async () => {
    project.write('home/.pgpass', 'h:5432:d:app:from-file\n');
    const found = await resolveServer({}, 'postgres://app@h/d');
    expect(found.options.password).toBe('from-file');
    expect(found.text).toContain('password file');
    expect(found.text).not.toContain('from-file');
    expect((await resolveServer({}, 'postgres://app:url@h/d')).options.password).toBe('url');
    const env = { PGPASSWORD: 'env' };
    expect((await resolveServer(env, 'postgres://app@h/d')).options.password).toBe('env');
  });

  it('that PGPASSFILE or the URL names is used instead of the one at home', async () => {
    project.write('home/.pgpass', '*:*:*:*:home\n');
    const named = project.write('named', '*:*:*:*:named\n');
    const other = project.write('other', '*:*:*:*:other\n');
    const env = { PGPASSFILE: named };
    expect((await resolveServer(env, 'postgres://app@h/d')).options.password).toBe('named');
    const url = `postgres://app@h/d?passfile=${encodeURIComponent(other)}`;
    expect((await resolveServer(env, url)).options.password).toBe('other');
  });

  it.skipIf(process.platform === 'win32').each(['640', '604'])(
    'that others may read (mode %s) is ignored with a warning',
    async (mode) => {
      const path = project.write('home/.pgpass', '*:*:*:*:pw\n', Number.parseInt(mode, 8));
      const { options, warnings } = await resolveServer({}, 'postgres://app@h/d');
      expect(options.password).toBeUndefined();
      expect(warnings).toEqual([expect.stringContaining(`chmod 0600 ${path}`)]);
    },
  );

  it('is not mentioned when it is absent, unless somebody named it', async () => {
    expect((await resolveServer({}, 'postgres://app@h/d')).warnings).toEqual([]);
    const named = await resolveServer({ PGPASSFILE: '/no/such' }, 'postgres://app@h/d');
    expect(named.warnings).toEqual([expect.stringContaining('/no/such cannot be read')]);
  });

  it('is asked for every host, and differing passwords are a warning', async () => {
    project.write('home/.pgpass', 'b:5432:d:app:two\na:5432:d:app:one\n');
    const { options, warnings } = await resolveServer({}, 'postgres://app@x,a,b/d');
    expect(options.password).toBe('one');
    expect(warnings).toEqual([expect.stringContaining('several passwords')]);
  });
});
