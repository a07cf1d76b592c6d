import { describe, expect, it } from 'vitest';
import { maskUrl, maskUrlsIn } from '../../src/text/harmless.ts';

describe('maskUrl', () => {
  it.each([
    ['postgres://app:s3cret@h:5432/d', 'postgres://app:***@h:5432/d'],
    ['postgres://:s3cret@h/d', 'postgres://:***@h/d'],
    ['postgres://app@h:5432/d', 'postgres://app@h:5432/d'],
    ['postgres://h:5432/d?sslmode=require', 'postgres://h:5432/d?sslmode=require'],
    ['postgres://u@[::1]:5432/d', 'postgres://u@[::1]:5432/d'],
    ['postgres://u@h/d?password=s3cret&port=1', 'postgres://u@h/d?password=***&port=1'],
    ['postgres://u@h/d?p%61ssword=s3cret', 'postgres://u@h/d?p%61ssword=***'],
    ['postgres://u@h/d?sslpassword=s3cret', 'postgres://u@h/d?sslpassword=***'],
    ['postgres://u@h/d?api_key=s3cret', 'postgres://u@h/d?api_key=***'],
    ['postgres://u@h/d?sslkey=/k.pem', 'postgres://u@h/d?sslkey=/k.pem'],
    ['host=h password=s3cret user=u', 'host=h password=*** user=u'],
    ["host=h password = 's3 \\' cret' user=u", 'host=h password = *** user=u'],
    ['host=h password=s3\\ cret user=u', 'host=h password=*** user=u'],
    ['postgres://u@h/d?', 'postgres://u@h/d?'],
    ['postgres://u@h/d?tail', 'postgres://u@h/d?***'],
    ['postgres://u@h/d?%zz=1&pwd=x', 'postgres://u@h/d?%zz=1&pwd=***'],
    ['?password=s3cret', '?password=***'],
    ["host=h my_password='a\\'b c' user=u", 'host=h my_password=*** user=u'],
    ['see postgres://app:x@h', 'see postgres:***@h'],
    ['embedded:', 'embedded:'],
    ['', ''],
  ])('turns %s into %s', (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });

  it.each([
    'postgres://app:s3/cret@h/d',
    'postgres://app:s3?cret@h/d',
    'postgres://app:s3?a=cret@h/d',
    'postgres://app:s3@cret/x@h/d',
    'postgres://app:s3#cret@h/d',
    'postgres://app:s3\ncret@h/d',
    'postgres://a@b:s3cret@h/d',
    'postgres://a/b:s3cret@h/d',
    'mysql://app:s3cret@h/d',
    'jdbc:postgresql://app:s3cret@h/d',
    'app:s3cret@h/d',
    ' postgres://app:s3cret@h/d',
    'postgres://u@h/d?password=s3&cret',
    "password='s3cret",
    'PASSWORD=s3cret',
  ])('hides the password of a malformed URL too: %s', (url) => {
    const masked = maskUrl(url);
    expect(masked).toContain('***');
    expect(masked).not.toMatch(/s3|cret/);
  });

  it('changes nothing more when it is applied again', () => {
    const once = maskUrl('postgres://app:s3cret@h/d?password=x&a=b');
    expect(maskUrl(once)).toBe(once);
  });
});

describe('maskUrlsIn', () => {
  it('hides the password of every URL in a text and leaves the rest', () => {
    const text = "cannot use 'postgres://a:s3cret@h/d' or mysql://b:s3cret@h, see https://x.org/y";
    expect(maskUrlsIn(text)).toBe(
      "cannot use 'postgres://a:***@h/d' or mysql://b:***@h, see https://x.org/y",
    );
  });
});
