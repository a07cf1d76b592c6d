import { describe, expect, test } from 'vitest';
import { type Catalog, createCatalog, type Relation } from '../../src/catalog/catalog.ts';
import type { LintRule } from '../../src/lint/rule.ts';
import { addColumnVolatileDefault } from '../../src/lint/rules/add-column-volatile-default.ts';
import { checkValidated } from '../../src/lint/rules/check-validated.ts';
import { indexNotConcurrent } from '../../src/lint/rules/index-not-concurrent.ts';
import { listed, lockName } from '../../src/lint/wording.ts';
import { checkScript, type RuleSurroundings, severitiesOf } from './lint-kit.ts';

function catalogWith(...relations: (Partial<Relation> & { key: string })[]): Catalog {
  const catalog = createCatalog();
  for (const relation of relations) {
    catalog.relations.set(relation.key, {
      kind: 'table',
      columns: new Map(),
      constraints: new Map(),
      indexes: new Set(),
      children: new Set(),
      dependents: new Set(),
      isUnlogged: false,
      isTemporary: false,
      ...relation,
    });
  }
  return catalog;
}

async function messageOf(
  rule: LintRule,
  script: string,
  around: RuleSurroundings,
): Promise<string> {
  const [finding] = await checkScript(rule, script, around);
  return finding?.message ?? '';
}

const REWRITE = {
  relation: 'public.t',
  reason: 'volatile default',
  subject: 'x',
  detail: 'default random()',
  isCertain: true,
} as const;

describe('a message', () => {
  test('names the table, its indexes, the lock, and what no one can do', async () => {
    const catalog = catalogWith({ key: 'public.t', indexes: new Set(['public.a', 'public.b']) });
    const around = { catalog, impact: { rewrites: [REWRITE] } };
    expect(await messageOf(addColumnVolatileDefault, 'alter table t add x int', around)).toBe(
      'the volatile default random() of the new column x rewrites public.t and its 2 indexes under ACCESS EXCLUSIVE: no one can read or write it meanwhile',
    );
  });

  test('says how many rows there are, where a database told', async () => {
    const catalog = catalogWith({
      key: 'public.t',
      rows: 1_234_567,
      indexes: new Set(['public.a']),
    });
    const around = { catalog, impact: { rewrites: [REWRITE] } };
    expect(await messageOf(addColumnVolatileDefault, 'alter table t add x int', around)).toContain(
      'rewrites public.t (about 1,234,567 rows) and its index under',
    );
  });

  test('speaks of several partitions as one finding', async () => {
    const relations = ['p1', 'p2', 'p3', 'p4', 'p5'].map((name) => `public.${name}`);
    const scans = relations.map((relation) => ({
      relation,
      reason: 'check constraint' as const,
      subject: 'positive',
      isCertain: true,
      command: 0,
    }));
    const script = 'alter table p add constraint positive check (a > 0)';
    const findings = await checkScript(checkValidated, script, { impact: { scans } });
    expect(findings).toHaveLength(1);
    expect(findings[0]?.message).toBe(
      'adding check positive reads every row of public.p1, public.p2, public.p3 and 2 more under ACCESS EXCLUSIVE: no one can read or write them meanwhile',
    );
    expect(findings[0]?.tables).toEqual(relations);
  });

  test('says of a weaker lock that reading goes on', async () => {
    const builds = [
      {
        relation: 'public.t',
        reason: 'create index' as const,
        subject: 'i',
        isCertain: true,
        isConcurrent: false,
      },
    ];
    const message = await messageOf(indexNotConcurrent, 'create index i on t (a)', {
      impact: { builds },
    });
    expect(message).toBe(
      'building index i over public.t under SHARE: no one can write to it meanwhile',
    );
  });
});

describe('what is not certain', () => {
  test('is a warning', async () => {
    const impact = { rewrites: [{ ...REWRITE, isCertain: false }] };
    const findings = await checkScript(addColumnVolatileDefault, 'alter table t add x int', {
      impact,
    });
    expect(severitiesOf(addColumnVolatileDefault, findings)).toEqual(['warning']);
    expect(findings[0]?.message).toContain(
      'default random() of the new column x may be volatile and then rewrites',
    );
  });
});

describe('the evidence', () => {
  test.each([
    ['static', createCatalog()],
    ['model', catalogWith({ key: 'public.t' })],
    ['live', { ...catalogWith({ key: 'public.t' }), isComplete: true }],
  ])('is %s where that is what is known of the table', async (evidence, catalog) => {
    const around = { catalog, impact: { rewrites: [REWRITE] } };
    const [finding] = await checkScript(
      addColumnVolatileDefault,
      'alter table t add x int',
      around,
    );
    expect(finding?.evidence).toBe(evidence);
  });
});

test('modes are spelled as in the manual', () => {
  expect(lockName('ShareRowExclusive')).toBe('SHARE ROW EXCLUSIVE');
});

test('lists end with and', () => {
  expect([['a'], ['a', 'b'], ['a', 'b', 'c']].map(listed)).toEqual(['a', 'a and b', 'a, b and c']);
});
