import { describe, expect, it } from 'vitest';
import { maskSecretLines, maskSecrets } from '../../src/sql/mask.ts';

const SECRET = 'Super5ecret';

describe('maskSecrets', () => {
  it.each([
    `alter role app password '${SECRET}'`,
    `alter role app password'${SECRET}' login`,
    `ALTER ROLE app ENCRYPTED PASSWORD\n\t'${SECRET}';`,
    `create user x password $$${SECRET}$$`,
    `create user x password $tag$${SECRET}$tag$ login`,
    `create user x password E'a\\'${SECRET}'`,
    `create user x password U&'${SECRET}'`,
    `create user x password /* a /* nested */ comment */ '${SECRET}'`,
    `create user x password -- why\n '${SECRET}'`,
    `create user x password 'first'\n  '${SECRET}'`,
    `create user mapping for a server b options (user 'u', "password" '${SECRET}')`,
    `create user mapping for a server b options (password '${SECRET}', sslpassword '${SECRET}')`,
    `create subscription s connection 'host=h password=${SECRET} user=u' publication p`,
    `select dblink_connect('postgres://app:${SECRET}@db/shop')`,
    `do $$ begin execute 'create user x password ''${SECRET}'''; end $$`,
    `do $$ begin execute format('create user x password %L', '${SECRET}'); end $$`,
    `do $$ begin execute 'create user x password ' || quote_literal('${SECRET}'); end $$`,
    `create user x password '${SECRET}`,
    `create user x password 'it''s ${SECRET}'`,
    `execute E'create user x password\\n\\t''${SECRET}'' login'`,
    `{"password": "${SECRET}", "name": "x"}`,
    `select set_secret(secret => '${SECRET}')`,
    `select set_secret(api_key := '${SECRET}')`,
    `create user ünicode password '😀${SECRET}'`,
  ])('hides the secret of %s', (text) => {
    expect(maskSecrets(text)).not.toContain(SECRET);
    if (!text.includes('\n')) expect(maskSecretLines(text)).not.toContain(SECRET);
  });

  it.each([
    'select 1',
    'alter role app password null',
    "select * from users where password_hash = 'abc'",
    "set password_encryption = 'scram-sha-256'",
    'password authentication failed for user "app"',
    "update settings set value = 'a' where name = 'password policy'",
    'postgres://app@db/shop?sslmode=require',
    "comment on column users.password is null; select 'x'",
  ])('leaves %s as it is', (text) => {
    expect(maskSecrets(text)).toBe(text);
  });

  it('keeps what stands behind the secret', () => {
    expect(maskSecrets(`alter role app password 'x' valid until '2030-01-01'; select 'kept'`)).toBe(
      `alter role app password '***' valid until '2030-01-01'; select 'kept'`,
    );
  });

  it('does not let a cut statement hide the lines behind it', () => {
    expect(maskSecretLines(`│ password 'abc… │ 7 │\n│ it's kept │`)).toBe(
      `│ password '***'\n│ it's kept │`,
    );
  });
});
