import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { exitCodeFor } from '../src/cli/exit-codes.ts';
import type { EvdbErrorCode } from '../src/errors.ts';

const source = readFileSync('src/errors.ts', 'utf8');
const codes = [...source.matchAll(/^ {2}\| '([A-Z_0-9]+)'/gm)].map((match) => match[1] ?? '');
const docs = readFileSync('docs/reference/errors.md', 'utf8');
const documented = [...docs.matchAll(/^\| `([A-Z_0-9]+)` *\| (\d+) *\|/gm)];

describe('the error codes', () => {
  it('are each documented, and no others', () => {
    expect(codes.length).toBeGreaterThan(40);
    expect(documented.map((match) => match[1]).sort()).toEqual([...codes].sort());
  });

  it('exit as the documentation says', () => {
    for (const [, code, exitCode] of documented) {
      expect([code, exitCodeFor(code as EvdbErrorCode)]).toEqual([code, Number(exitCode)]);
    }
  });
});
