import { describe, expect, it } from 'vitest';
import { parseServiceFile } from '../../src/config/libpq-files.ts';
import { useConfigProject } from './config-kit.ts';

const project = useConfigProject();
const { resolveServer } = project;

describe('a service', () => {
  const text = '# comment\n[shop]\nhost=svc\nport=6000\nuser=svc\nschema=x\n\n[other]\nhost=o\n';

  it('named by PGSERVICE fills gaps before the other libpq variables do', async () => {
    project.write('home/.pg_service.conf', text);
    const {
      options,
      warnings,
      text: entries,
    } = await resolveServer({
      PGSERVICE: 'shop',
      PGHOST: 'env',
      PGDATABASE: 'env',
    });
    expect(options).toMatchObject({
      hosts: [{ host: 'svc', port: 6000 }],
      user: 'svc',
      database: 'env',
    });
    expect(warnings).toEqual([expect.stringContaining('"schema" is ignored')]);
    expect(entries).toContain('service shop in');
  });

  it('named by the URL yields to what the URL says itself', async () => {
    const PGSERVICEFILE = project.write('services', text);
    const { options } = await resolveServer({ PGSERVICEFILE }, 'postgres://me@/d?service=shop');
    expect(options).toMatchObject({
      hosts: [{ host: 'svc', port: 6000 }],
      user: 'me',
      database: 'd',
    });
  });

  it('is looked for in the system file when the first file does not hold it', async () => {
    project.write('home/.pg_service.conf', '[other]\nhost=o\n');
    project.write('pg_service.conf', text);
    const { options } = await resolveServer({ PGSERVICE: 'shop', PGSYSCONFDIR: project.dir });
    expect(options.hosts).toEqual([{ host: 'svc', port: 6000 }]);
  });

  it('that no file holds is an error with the nearest name', async () => {
    project.write('home/.pg_service.conf', text);
    await expect(resolveServer({ PGSERVICE: 'shopp' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'the service "shopp" is not defined; did you mean "shop"?',
      hint: expect.stringContaining('.pg_service.conf'),
    });
  });

  it('takes the first of two sections with the same name', () => {
    const services = parseServiceFile('[a]\nhost=1\n[a]\nhost=2\n', 'f');
    expect(services.get('a')).toEqual({ host: '1' });
  });

  it.each(['host=x', '[a]\npassword s3cret', '[a]\n[b', '[a]\nservice=b'])(
    'file that cannot be read is an error with the line and without its text: %o',
    (broken) => {
      const lines = broken.split('\n').length;
      expect(() => parseServiceFile(broken, '/etc/s')).toThrow(
        expect.objectContaining({
          code: 'CONFIG_INVALID',
          message: `/etc/s: line ${lines} is not a section or a parameter of one`,
        }),
      );
    },
  );
});
