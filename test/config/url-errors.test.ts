import { describe, expect, it } from 'vitest';
import { parseConnectionUrl } from '../../src/config/url.ts';
import { urlErrorOf as errorOf } from './config-kit.ts';

describe('a URL that cannot be read', () => {
  it.each([
    '',
    'shop',
    'localhost:5432/shop',
    '//h/d',
    'postgres:h/d',
    'mysql://app:s3cret@h/d',
    'jdbc:postgresql://app:s3cret@h/d',
    'postgresql+psycopg2://app:s3cret@h/d',
    '"postgres://app:s3cret@h/d"',
    'app:s3cret@h/d',
    'postgres://app:s3cret/x@h/d',
    'postgres://app:1/s3cret@h/d',
    'postgres://app:s3cret?x@h/d',
    'postgres://app:12?x=s3cret@h/d',
    'postgres://app:a@b/s3cret@h/d',
    'postgres://app:%s3cret@h/d',
    'postgres://app:%ff%s3cret@h/d',
    'postgres://app:s3cret%00@h/d',
    'postgres://app:x@h:s3cret/d',
    'postgres://app:x@h:0/d',
    'postgres://app:x@h:65536/d',
    'postgres://app:x@[::1/d',
    'postgres://app:x@::1/d',
    'postgres://app:x@h/d?s3cret',
    'postgres://app:x@h/d?sslmode=s3cret',
    'postgres://app:x@h/d?sslrootcert=system&sslmode=require',
    'postgres://app:x@h/d?target_session_attrs=s3cret',
    'postgres://app:x@h/d?connect_timeout=s3cret',
    'postgres://app:x@h/d?port=s3cret',
    'postgres://app:x@h/d?password=%zzs3cret',
  ])('is CONFIG_INVALID, names its source and shows no secret: %s', (url) => {
    const error = errorOf(url);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toMatch(/^environment EVDB_URL: /);
    expect(error.hint).toBeTruthy();
    expect(error.cause).toBeUndefined();
    expect(JSON.stringify([error.message, error.hint, error.details])).not.toContain('s3cret');
  });

  it('names a foreign scheme, and says so when quotes are in the way', () => {
    expect(errorOf('mysql://h/d').message).toContain('"mysql"');
    expect(errorOf("'postgres://h/d'").message).toContain('quotes');
  });

  it('does not show the tail of a password as the name of a parameter', () => {
    const { warnings } = parseConnectionUrl('postgres://app:x@h/d?password=a&b@s3cret!=c');
    expect(warnings).toEqual(['connection URL: a parameter that libpq does not have is ignored']);
  });
});
