import { describe, expect, it } from 'vitest';
import { lint, places } from './lint-kit.ts';

describe('the linter', () => {
  it('judges the statements of a do block at their lines', () => {
    const text =
      'select 1;\ndo $$\nbegin\n  perform 1;\n  create index concurrently i on t (a);\nend $$;';
    expect(places(lint(text))).toEqual(['concurrently-in-tx 5:3']);
  });

  it('says that dynamic SQL is not known', () => {
    const text = "do $$ begin\n  execute format('drop table %I', 't');\nend $$;";
    const { findings } = lint(text);
    expect(findings).toMatchObject([{ rule: 'opaque-sql', severity: 'info', line: 2 }]);
  });

  it('reads dynamic SQL that is one string', () => {
    const text = "do $$ begin\n  execute 'vacuum t';\nend $$;";
    expect(places(lint(text))).toEqual(['concurrently-in-tx 2:12']);
  });
});
