import { describe, expect, it } from 'vitest';
import { parseConnectionUrl } from '../../src/config/url.ts';
import { urlErrorOf as errorOf } from './config-kit.ts';

function optionsOf(url: string) {
  return parseConnectionUrl(url).options;
}

describe('the parts of a URL', () => {
  it('reads user, password, host, port and database', () => {
    expect(optionsOf('postgres://app:secret@db.example.org:5433/shop')).toEqual({
      hosts: [{ host: 'db.example.org', port: 5433 }],
      user: 'app',
      password: 'secret',
      database: 'shop',
    });
  });

  it('accepts postgresql://, capitals in the scheme and surrounding white space', () => {
    expect(optionsOf(' PostgreSQL://h/d\n')).toEqual({
      hosts: [{ host: 'h', port: 5432 }],
      database: 'd',
    });
  });

  it.each([
    ['postgres://', {}],
    ['postgres:///', {}],
    ['postgres://app@', { user: 'app' }],
    ['postgres:///shop', { database: 'shop' }],
    ['postgres://h', { hosts: [{ host: 'h', port: 5432 }] }],
    ['postgres://h?', { hosts: [{ host: 'h', port: 5432 }] }],
    ['postgres://:5433/', { hosts: [{ host: 'localhost', port: 5433 }] }],
    ['postgres://app:@h/', { hosts: [{ host: 'h', port: 5432 }], user: 'app' }],
  ])('leaves absent what %s does not say', (url, options) => {
    expect(optionsOf(url)).toEqual(options);
  });

  it('reads several hosts, each with its own port or the default one', () => {
    expect(optionsOf('postgres://a:1,b,[::1]:3/d').hosts).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 5432 },
      { host: '::1', port: 3 },
    ]);
  });

  it('reads an IPv6 address with and without a port', () => {
    expect(optionsOf('postgres://u@[2001:db8::7]/d').hosts).toEqual([
      { host: '2001:db8::7', port: 5432 },
    ]);
    expect(optionsOf('postgres://[fe80::1%25eth0]:99/d').hosts).toEqual([
      { host: 'fe80::1%eth0', port: 99 },
    ]);
  });

  it('decodes percent-encoding in every part and leaves "+" alone', () => {
    const url =
      'postgres://a%40b:p%2F%3F%23%3A+%C3%A9@%2Frun%2Fpg/my%20db?application_name=a%26b+c';
    expect(optionsOf(url)).toEqual({
      hosts: [{ host: '/run/pg', port: 5432 }],
      user: 'a@b',
      password: 'p/?#:+é',
      database: 'my db',
      applicationName: 'a&b+c',
    });
  });

  it('takes the last "@" of the authority as the end of a password that is not encoded', () => {
    expect(optionsOf('postgres://app:p@ss:w@host/d')).toMatchObject({
      user: 'app',
      password: 'p@ss:w',
      hosts: [{ host: 'host', port: 5432 }],
    });
  });
});

describe('the parameters of a URL', () => {
  it('maps all that libpq and evdb share', () => {
    const url =
      'postgres:///?host=/run/pg&port=5433&user=app&password=pw&dbname=shop&sslmode=verify-full' +
      '&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&application_name=x&connect_timeout=7' +
      '&options=-c%20work_mem%3D64MB&target_session_attrs=read-write&service=s&passfile=/pp';
    expect(parseConnectionUrl(url)).toEqual({
      options: {
        hosts: [{ host: '/run/pg', port: 5433 }],
        user: 'app',
        password: 'pw',
        database: 'shop',
        sslMode: 'verify-full',
        sslRootCert: '/ca.pem',
        sslCert: '/c.pem',
        sslKey: '/k.pem',
        applicationName: 'x',
        connectTimeoutMs: 7000,
        backendOptions: '-c work_mem=64MB',
        targetSessionAttrs: 'read-write',
      },
      warnings: [],
      service: 's',
      passfile: '/pp',
    });
  });

  it('prefers a parameter over the part of the URL that says the same', () => {
    expect(optionsOf('postgres://u@h/d?host=other&user=me&dbname=x')).toEqual({
      hosts: [{ host: 'other', port: 5432 }],
      user: 'me',
      database: 'x',
    });
  });

  it('gives one port to all hosts, and refuses a number of ports that fits neither', () => {
    expect(optionsOf('postgres:///d?host=a,b&port=7').hosts).toEqual([
      { host: 'a', port: 7 },
      { host: 'b', port: 7 },
    ]);
    expect(errorOf('postgres:///d?host=a,b,c&port=7,8').message).toContain('2 ports for 3 hosts');
  });

  it('takes hostaddr for the host where there is none, and warns where there is one', () => {
    expect(optionsOf('postgres:///d?hostaddr=10.0.0.1').hosts).toEqual([
      { host: '10.0.0.1', port: 5432 },
    ]);
    const both = parseConnectionUrl('postgres://h/d?hostaddr=10.0.0.1');
    expect(both.options.hosts).toEqual([{ host: 'h', port: 5432 }]);
    expect(both.warnings).toEqual([expect.stringContaining('"hostaddr"')]);
  });

  it.each([
    ['ssl=true', 'require'],
    ['ssl=1', 'require'],
    ['ssl=false', 'disable'],
    ['ssl=false&sslmode=verify-ca', 'verify-ca'],
    ['sslmode=verify-ca&ssl=false', 'verify-ca'],
    ['sslmode=no-verify', 'require'],
    ['sslrootcert=system', 'verify-full'],
    ['sslrootcert=system&sslmode=verify-full', 'verify-full'],
  ])('understands %s as sslmode %s', (query, sslMode) => {
    const { options, warnings } = parseConnectionUrl(`postgres://h/d?${query}`);
    expect(options.sslMode).toBe(sslMode);
    expect(options.sslRootCert).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  it('reads connect_timeout as seconds, where zero or less means as long as a timer can wait', () => {
    expect(optionsOf('postgres://h?connect_timeout=3').connectTimeoutMs).toBe(3000);
    expect(optionsOf('postgres://h?connect_timeout=0').connectTimeoutMs).toBe(2_147_483_647);
    expect(optionsOf('postgres://h?connect_timeout=-1').connectTimeoutMs).toBe(2_147_483_647);
  });

  it('takes an empty parameter as not given', () => {
    expect(optionsOf('postgres://h/d?sslmode=&user=&port=')).toEqual({
      hosts: [{ host: 'h', port: 5432 }],
      database: 'd',
    });
  });

  it('prefers application_name over fallback_application_name', () => {
    expect(optionsOf('postgres://h?fallback_application_name=a').applicationName).toBe('a');
    expect(
      optionsOf('postgres://h?application_name=b&fallback_application_name=a').applicationName,
    ).toBe('b');
  });

  it.each([
    ...['schema', 'pgbouncer', 'connection_limit', 'pool_timeout', 'sslaccept', 'socket_timeout'],
    ...['statement_cache_size', 'search_path', 'currentSchema', 'keepalives', 'foo'],
  ])('drops %s with one warning that names the source and the parameter', (name) => {
    const parsed = parseConnectionUrl(`postgres://h/d?${name}=public`, {}, '.env DATABASE_URL');
    expect(parsed.options).toEqual({ hosts: [{ host: 'h', port: 5432 }], database: 'd' });
    expect(parsed.warnings).toHaveLength(1);
    expect(parsed.warnings[0]).toContain(`.env DATABASE_URL: the parameter "${name}" is ignored`);
  });

  it('says where the schema is chosen when it drops one, and what a misspelt name may mean', () => {
    const { warnings } = parseConnectionUrl('postgres://h/d?schema=app&sslmod=require');
    expect(warnings[0]).toContain('--schema');
    expect(warnings[1]).toContain('did you mean "sslmode"?');
  });

  it('is silent about parameters that ask for nothing, and not about those that ask', () => {
    const quiet = 'postgres://h/d?channel_binding=prefer&gssencmode=disable&client_encoding=UTF8';
    expect(parseConnectionUrl(quiet).warnings).toEqual([]);
    expect(parseConnectionUrl('postgres://h/d?gssencmode=x').warnings).toHaveLength(1);
  });

  it.each([
    ...['require_auth=scram-sha-256', 'requirepeer=postgres'],
    ...['gssencmode=require', 'sslcertmode=require', 'sslcrl=/a', 'sslcrldir=/a'],
    ...['ssl_min_protocol_version=TLSv1.3'],
  ])('refuses %s, which libpq enforces and evdb cannot', (parameter) => {
    const [name = ''] = parameter.split('=');
    const url = `postgres://app:s3cret@h/d?sslmode=verify-full&${parameter}`;
    expect(() => parseConnectionUrl(url, {}, '.env DATABASE_URL')).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: `.env DATABASE_URL: evdb cannot do what ${name} asks for`,
        hint: expect.stringContaining('Remove it'),
      }),
    );
  });

  it('takes channel_binding=require over, and refuses what it does not know', () => {
    const url = 'postgres://h/d?channel_binding=require';
    expect(parseConnectionUrl(url)).toMatchObject({
      options: { channelBinding: 'require' },
      warnings: [],
    });
    expect(parseConnectionUrl('postgres://h/d').options).not.toHaveProperty('channelBinding');
    expect(() => parseConnectionUrl(`${url}d`)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        hint: 'channel_binding is one of: disable, prefer, require.',
      }),
    );
  });

  it.each([
    ...['channel_binding=prefer', 'channel_binding=disable', 'channel_binding='],
    ...['ssl_min_protocol_version=TLSv1.2', 'require_auth='],
  ])('says nothing of %s, which asks for no more than evdb does', (parameter) => {
    expect(parseConnectionUrl(`postgres://h/d?${parameter}`).warnings).toEqual([]);
  });
});

describe('the base of a URL', () => {
  it('holds where the URL says nothing, and nowhere else', () => {
    const base = { user: 'base', database: 'base', password: 'pw', connectTimeoutMs: 1 };
    expect(parseConnectionUrl('postgres://url@h', base).options).toEqual({
      ...base,
      user: 'url',
      hosts: [{ host: 'h', port: 5432 }],
    });
  });
});

describe('a keyword string', () => {
  it('is read with quotes, escapes and spaces around "="', () => {
    const text = String.raw`host=/tmp port = 5433 dbname='my \'shop\'' password=a\ b\\c user=''`;
    expect(optionsOf(text)).toEqual({
      hosts: [{ host: '/tmp', port: 5433 }],
      database: "my 'shop'",
      password: 'a b\\c',
    });
  });

  it.each(["host=a dbname='open", 'host=a secretword', "host=a password='x'y", 'host=a =b'])(
    'is refused without being shown: %s',
    (text) => {
      const error = errorOf(text);
      expect(error.code).toBe('CONFIG_INVALID');
      expect(error.message).toBe('environment EVDB_URL: the connection string cannot be read');
    },
  );
});
