import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { findRuleHelp } from '../../src/cli/rule-help.ts';
import { DOCTOR_CHECKS } from '../../src/doctor/doctor.ts';
import { LINT_RULES } from '../../src/lint/rules.ts';

/** As the reference lists them, which a test holds to the code. */
const errors = [
  ...readFileSync('docs/reference/errors.md', 'utf8').matchAll(/^\| `([A-Z_]+)` /gm),
].map(([, code = '']) => code);

describe('the help of a rule', () => {
  it.each([
    ['rule of lint', LINT_RULES.map(({ name }) => name)],
    ['check of doctor', DOCTOR_CHECKS.map(({ name }) => name)],
    ['error', errors],
  ])('is there for every %s', (_, codes) => {
    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) {
      const help = findRuleHelp(code);
      expect(help?.summary, code).toMatch(/\w/);
      expect(help?.markdown, code).toMatch(/\w/);
      expect(existsSync(help?.page ?? ''), code).toBe(true);
      expect(help?.url, code).toMatch(/^https:.+\/blob\/v\d+\.\d+\.\d+\/docs\/.+\.md$/);
    }
  });

  it('shows the page of a lint rule without the marks of its tests', () => {
    expect(findRuleHelp('set-not-null')?.markdown).toContain('\n```sql\nalter table account');
  });

  it.each(['', '../../package', 'no-such-rule'])('is missing for %j', (code) => {
    expect(findRuleHelp(code)).toBeUndefined();
  });
});
