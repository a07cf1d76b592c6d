// The blocks of shell in a page of the documentation, and what the page says comes of each.
//
//   <!-- not run: reason -->     above a block: it is not run
//   <!-- before: lines -->       above a block: what has to be there, run first, not shown to readers
//   <!-- exit: 3 -->             above a block: how it ends; else 0
//   <!-- run -->                 above a block of SQL: it is run, by a superuser
//   <!-- run: as x -->           … by the role x; with `, refused` at the end it lacks a privilege for it
//   <!-- after: lines -->        anywhere: run when the page is done
//   ```text                      below a block: lines that it prints, in this order; … stands for anything

/** A block of shell or SQL. */
export interface DocBlock {
  language: 'sh' | 'sql';
  /** Of its first line, in the page. */
  line: number;
  text: string;
  before: string;
  exitCode: number;
  /** Lines that it prints. */
  shown: string[];
  /** Of SQL: by whom it is run, such as `as shop_app, refused`; empty for a superuser. */
  by: string;
  /** Why it is not run. */
  notRun?: string;
}

const BLOCK =
  /((?:^<!--(?:(?!-->)[\s\S])*-->\n+)*)^```(sh|sql)\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```)?/gm;

/** Finds the blocks of a page, in order. */
export function findBlocks(page: string): DocBlock[] {
  return [...page.matchAll(BLOCK)].flatMap((match) => {
    const [whole, comments = '', language = 'sh', text = '', shown = ''] = match;
    const say = (name: string) =>
      new RegExp(`<!-- ${name}:((?:(?!-->)[\\s\\S])*?)\\s*-->`).exec(comments)?.[1]?.trim();
    const start = match.index + whole.indexOf('```');
    const notRun = say('not run');
    const by = /<!-- run(?:: (.*?))? -->/.exec(comments);
    if (language === 'sql' && by === null) return [];
    return {
      language: language as DocBlock['language'],
      line: page.slice(0, start).split('\n').length + 1,
      text,
      before: say('before') ?? '',
      exitCode: Number(say('exit') ?? 0),
      shown: shown.split('\n').filter((line) => line.trim() !== ''),
      by: by?.[1] ?? '',
      ...(notRun !== undefined && { notRun }),
    };
  });
}

/** What is to be run when a page is done. */
export function findAfter(page: string): string {
  return /^<!-- after:\n([\s\S]*?)-->/m.exec(page)?.[1] ?? '';
}

/** The lines that a page shows and a run did not print, in this order. */
export function missingLines(shown: readonly string[], printed: string): string[] {
  const lines = printed.split('\n').map(squeeze);
  let from = 0;
  return shown.filter((line) => {
    const parts = squeeze(line)
      .split('…')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const pattern = new RegExp(`^${parts.join('.*')}$`);
    const found = lines.findIndex((one, index) => index >= from && pattern.test(one));
    if (found >= 0) from = found + 1;
    return found < 0;
  });
}

/** Widths of columns differ with what stands in them. */
function squeeze(line: string): string {
  return line.replace(/\s+/g, ' ').trim();
}
