import { describe, expect, it } from 'vitest';
import { lint, places } from './lint-kit.ts';

const IGNORE = '-- evdb: ignore concurrently-in-tx: meant';

/** The findings that are left, and the lines of those that are not. */
function judge(text: string) {
  const report = lint(text);
  return { left: places(report), ignored: report.suppressed.map(({ line }) => line) };
}

describe('a suppression', () => {
  it.each([
    ['in the header for the whole file', `${IGNORE}\nvacuum;\nvacuum;`, [2, 3]],
    ['above the statement', `select 1;\n${IGNORE}\nvacuum;`, [3]],
    ['above other comments', `select 1;\n${IGNORE}\n-- more\n\nvacuum;`, [5]],
    ['behind the semicolon', `vacuum; ${IGNORE}`, [1]],
    ['inside the statement', `vacuum ${IGNORE}\n t;`, [1]],
    ['as a block comment', 'vacuum; /* evdb: ignore concurrently-in-tx: meant */', [1]],
    ['behind the rows of a copy', `copy t from stdin;\n-- 1\n\\.\n${IGNORE}\nvacuum;`, [5]],
  ])('counts %s', (_, text, ignored) => {
    expect(judge(text)).toEqual({ left: [], ignored });
  });

  it('counts for its statement alone', () => {
    const { left, ignored } = judge(`select 1;\n${IGNORE}\nvacuum;\nvacuum;`);
    expect({ left, ignored }).toEqual({ left: ['concurrently-in-tx 4:1'], ignored: [3] });
  });

  it('counts in the body of a block', () => {
    const text = `select 1;\ndo $$\nbegin\n  ${IGNORE}\n  vacuum;\n  vacuum;\nend $$;`;
    expect(judge(text)).toEqual({ left: ['concurrently-in-tx 6:3'], ignored: [5] });
  });

  it('counts for all of a block from above it', () => {
    const text = `select 1;\n${IGNORE}\ndo $$\nbegin\n  vacuum;\n  vacuum;\nend $$;`;
    expect(judge(text)).toEqual({ left: [], ignored: [5, 6] });
  });

  it('names several rules', () => {
    const text = `select 1;\n-- evdb: ignore concurrently-in-tx, opaque-sql: both\ndo $$ begin vacuum; execute a; end $$;`;
    expect(judge(text)).toEqual({ left: [], ignored: [3, 3] });
  });

  it.each([
    ['a string', `select '\n${IGNORE}\n';\nvacuum;`],
    ['a quoted name', `select 1 as "\n${IGNORE}\n";\nvacuum;`],
    [
      'the body of a function',
      `create function f() returns int language sql as $$\n${IGNORE}\nselect 1 $$;\nvacuum;`,
    ],
    ['the rows of a copy', `copy t from stdin;\n${IGNORE}\n\\.\nvacuum;`],
  ])('is none inside %s', (_, text) => {
    const { left, ignored } = judge(text);
    expect(left).toHaveLength(1);
    expect(left[0]).toMatch(/^concurrently-in-tx/);
    expect(ignored).toEqual([]);
  });

  it('behind the last statement is for nothing', () => {
    expect(judge(`select 1;\n${IGNORE}\n`).left).toEqual(['directive 2:1']);
  });
});

describe('a fingerprint', () => {
  const fingerprint = (text: string) => lint(text).findings.map((one) => one.fingerprint);

  it('stays when lines and comments move, and the layout changes', () => {
    const [before] = fingerprint('vacuum  t;');
    expect(fingerprint('-- title\n\n\nselect 1;\nvacuum t /* all */;')).toEqual([before]);
  });

  it('tells equal statements apart', () => {
    expect(new Set(fingerprint('vacuum t;\nvacuum t;')).size).toBe(2);
  });
});
