import type { SourceFile } from './source-files.ts';

/** Takes all files of `src` and returns a sentence for each violation. */
export type Rule = (files: SourceFile[]) => string[];

const library = [
  ...['sql/', 'connection/', 'config/', 'catalog/', 'impact/', 'lint/', 'trace/', 'migrate/'],
  ...['embedded/', 'scratch/', 'stats/', 'events/', 'doctor/', 'database/'],
  ...['structure/', 'adopt/', 'maintenance/', 'report/', 'pool/', 'application/'],
];

/** What the files of a folder may import, beside words for people: beginnings of paths below `src`. */
const allowed: Record<string, { values: string[]; types?: string[] }> = {
  text: { values: ['errors.ts'] },
  'errors.ts': { values: [] },
  'file-system.ts': { values: [] },
  'finding.ts': { values: [] },
  'index.ts': { values: [...library, 'errors.ts'], types: ['finding.ts'] },
  sql: { values: ['errors.ts'] },
  connection: { values: ['errors.ts', 'sql/quote.ts', 'sql/mask.ts'] },
  embedded: { values: ['errors.ts', 'connection/', 'report/'] },
  scratch: { values: ['errors.ts', 'sql/', 'connection/', 'embedded/'] },
  config: { values: ['errors.ts', 'report/'], types: ['connection/'] },
  catalog: { values: ['errors.ts', 'sql/', 'connection/'] },
  impact: { values: ['sql/', 'catalog/'] },
  lint: { values: ['errors.ts', 'sql/', 'catalog/', 'impact/', 'report/'] },
  trace: { values: ['errors.ts', 'sql/', 'connection/', 'catalog/', 'impact/'] },
  structure: { values: ['errors.ts', 'sql/', 'connection/', 'report/'] },
  stats: { values: ['errors.ts', 'sql/', 'connection/', 'report/'] },
  database: { values: ['errors.ts', 'sql/', 'connection/', 'report/'] },
  events: { values: ['errors.ts', 'sql/', 'connection/', 'config/', 'pool/', 'report/'] },
  doctor: { values: ['errors.ts', 'sql/', 'connection/', 'stats/', 'events/', 'report/'] },
  migrate: {
    values: [
      ...['errors.ts', 'sql/', 'connection/', 'catalog/', 'impact/', 'lint/', 'trace/'],
      ...['structure/', 'scratch/', 'report/'],
    ],
    types: ['config/'],
  },
  adopt: { values: ['errors.ts', 'sql/', 'connection/', 'migrate/'] },
  maintenance: { values: ['errors.ts', 'sql/', 'connection/', 'stats/', 'events/', 'report/'] },
  pool: { values: ['errors.ts', 'sql/quote.ts', 'connection/', 'config/', 'embedded/'] },
  application: {
    values: ['errors.ts', 'sql/quote.ts', 'pool/', 'migrate/', 'connection/', 'config/'],
  },
  report: { values: [], types: [...library, 'errors.ts', 'finding.ts'] },
  cli: {
    values: [
      'errors.ts',
      ...['report/', 'migrate/', 'lint/', 'maintenance/', 'connection/', 'config/', 'application/'],
      'sql/mask.ts',
      ...['structure/', 'adopt/', 'trace/', 'embedded/', 'stats/', 'events/', 'doctor/'],
      'database/',
    ],
    types: ['finding.ts'],
  },
};

/** Dependencies point one way. */
export const pointsOneWay: Rule = (files) =>
  files.flatMap(({ path, imports }) => {
    const folder = path.split('/')[1] ?? '';
    const own = `src/${folder}/`;
    const rule = allowed[folder];
    if (!rule) return [`${path} is in a folder that has no rule`];
    return imports
      .filter(({ from }) => from.startsWith('src/') && !from.startsWith(own))
      .filter(({ from, isTypeOnly }) => {
        const values = [...rule.values, 'text/', 'file-system.ts'];
        const targets = isTypeOnly ? [...values, ...(rule.types ?? [])] : values;
        return !targets.some((target) => from.startsWith(`src/${target}`));
      })
      .map(({ from, isTypeOnly }) => `${path} imports ${isTypeOnly ? 'a type of ' : ''}${from}`);
  });

const pureParts =
  /^src\/(migrate\/(plan\/(plan|compare|check|status-report)|repair\/(repair-plan|report)|preview\/(budget|impact-plan|report|statement-effects)|checks\/report)\.ts|impact\/|lint\/|report\/|events\/report|text\/)/;
const impurePackages =
  /^(postgres|node:(fs|net|tls|dns|http|https|http2|dgram|child_process|worker_threads|cluster|readline)(\/.*)?)$/;

/** Plans, rules and reports reach neither network nor disk, not by way of another file either. */
export const staysPure: Rule = (files) => {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const follow = (path: string, seen: Set<string>, way: string[]): string[] => {
    if (impurePackages.test(path)) return [[...way, path].join(' → ')];
    if (seen.has(path)) return [];
    seen.add(path);
    const values = (byPath.get(path)?.imports ?? []).filter((one) => !one.isTypeOnly);
    return values.flatMap(({ from }) => follow(from, seen, [...way, path]));
  };
  return files
    .filter(({ path }) => pureParts.test(path))
    .flatMap(({ path }) => follow(path, new Set(), []));
};

/** Only src/connection knows the driver. */
export const keepsDriverInConnection: Rule = (files) =>
  files
    .filter(({ path }) => !path.startsWith('src/connection/'))
    .filter(({ imports }) => imports.some(({ from }) => /^postgres(\/|$)/.test(from)))
    .map(({ path }) => `${path} imports postgres`);

/** Only src/cli/main.ts ends the process, nothing uses the console, and only src/cli prints. */
export const leavesProcessToCli: Rule = (files) =>
  files.flatMap(({ path, code }) => {
    const found: string[] = [];
    if (path !== 'src/cli/main.ts') {
      if (/\bprocess\s*\.\s*(exit|abort|reallyExit)/.test(code)) found.push('ends the process');
      if (/\bconsole\s*\./.test(code)) found.push('uses the console');
    }
    if (!path.startsWith('src/cli/') && /\bprocess\s*\.\s*(stdout|stderr)\b/.test(code)) {
      found.push('prints');
    }
    return found.map((what) => `${path} ${what}`);
  });

const maxLines = 400;

/** Files stay short, are named after their topic, and export by name. */
export const keepsFilesSmallAndNamed: Rule = (files) =>
  files.flatMap(({ path, code, lineCount, imports }) => {
    const found: string[] = [];
    // The list of what is public is as long as it is.
    const isLong = lineCount > maxLines && path !== 'src/index.ts';
    if (isLong) found.push(`has ${lineCount} lines, more than ${maxLines}`);
    if (/\/(utils?|types|helpers?|common|index)\.ts$/.test(path) && path !== 'src/index.ts') {
      found.push('has a name that says nothing');
    }
    if (/^export\s+(default\b|\*)/m.test(code)) found.push('does not export by name');
    const isBarrel = imports.length > 0 && /^\s*(export\s[^;=(]*from\s+'[^']+';\s*)+$/.test(code);
    if (isBarrel && path !== 'src/index.ts') found.push('only hands on what others export');
    return found.map((what) => `${path} ${what}`);
  });

/** The CLI uses nothing that the users of the library do not get, by the same name. */
export const givesLibraryWhatCliUses: Rule = (files) => {
  const index = files.find(({ path }) => path === 'src/index.ts');
  const exported = new Set(
    (index?.imports ?? []).flatMap(({ from, names }) => names.map((name) => `${name} of ${from}`)),
  );
  const used = files
    .filter(({ path }) => path.startsWith('src/cli/'))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => from.startsWith('src/') && !from.startsWith('src/cli/'))
        .flatMap(({ from, names }) => names.map((name) => ({ path, what: `${name} of ${from}` }))),
    );
  return used
    .filter(({ what }) => !exported.has(what))
    .map(({ path, what }) => `${path} uses ${what}, which src/index.ts does not export`);
};
