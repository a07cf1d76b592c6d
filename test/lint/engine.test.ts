import { describe, expect, it } from 'vitest';
import { lint, places, script, verdicts } from './lint-kit.ts';

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

  it('only informs about what builds would miss in a contract that a gate holds back', () => {
    const contract = {
      ...({ path: '002.sql', direction: 'up', isTransactional: true, isJudged: true } as const),
      text: 'alter table t drop column a;\nalter table t rename column b to c;\nalter table t alter column d set not null;',
    };
    const before = 'create table t (a int, b int, d int);';
    const only = ['destructive-change', 'breaking-rename', 'set-not-null'];
    expect(verdicts(lint(contract, { before, only }))).toEqual([
      'destructive-change error',
      'breaking-rename error',
      'set-not-null error',
    ]);
    // A gate does not shorten a lock.
    expect(verdicts(lint({ ...contract, isGatedContract: true }, { before, only }))).toEqual([
      'destructive-change info',
      'breaking-rename info',
      'set-not-null error',
    ]);
  });

  it('says of a file without a statement what up would say, and not of one of another tool', () => {
    for (const text of ['', '-- to be written\n', ';;\n']) {
      expect(lint(text).findings).toMatchObject([{ rule: 'empty-file', severity: 'error' }]);
      expect(lint(script(text, { isForeign: true })).findings).toEqual([]);
    }
  });
});
