import type { SourceFile } from './source-files.ts';

/** Takes all files of `src` and returns a sentence for each violation. */
export type Rule = (files: SourceFile[]) => string[];

const library = [
  'citus/',
  ...['sql/', 'connection/', 'embedded/', 'scratch/', 'config/', 'catalog/', 'impact/', 'lint/'],
  ...['trace/', 'migrate/', 'structure/', 'adopt/', 'stats/', 'doctor/', 'history/', 'database/'],
  ...['monitor/', 'overview/'],
  ...['events/', 'report/', 'pool/', 'application/', 'typescript/', 'diagram/', 'fleet/'],
];

/** What the command line leaves to those who work. */
const hiddenFromCli = new Set(['citus/', 'sql/', 'scratch/', 'catalog/', 'impact/', 'pool/']);

/** The rooms, each with what its files may import beside its own: beginnings of paths below `src`. */
const rooms: Record<string, { values: string[]; types?: string[] }> = {
  'errors.ts': { values: [] },
  'finding.ts': { values: [] },
  'file-system.ts': { values: [] },
  text: { values: [] },
  sql: { values: [] },
  connection: { values: ['sql/quote.ts', 'sql/mask.ts'] },
  citus: { values: ['connection/', 'sql/'], types: ['doctor/'] },
  config: { values: ['report/'], types: ['connection/'] },
  embedded: { values: ['sql/quote.ts', 'connection/', 'report/'] },
  scratch: { values: ['sql/', 'citus/', 'connection/', 'embedded/', 'structure/'] },
  catalog: { values: ['sql/', 'citus/', 'connection/'] },
  structure: { values: ['sql/', 'citus/', 'connection/', 'report/'] },
  impact: { values: ['sql/', 'catalog/'] },
  lint: { values: ['sql/', 'citus/', 'catalog/', 'impact/', 'report/'] },
  trace: { values: ['sql/', 'connection/', 'catalog/', 'impact/'] },
  'migrate/progress.ts': {
    values: [],
    types: ['connection/', 'migrate/files/', 'migrate/backfill/'],
  },
  'migrate/options.ts': {
    values: [],
    types: ['config/', 'connection/', 'migrate/progress.ts'].concat([
      ...['migrate/ledger/', 'migrate/backfill/'],
    ]),
  },
  'migrate/files': { values: ['sql/', 'connection/'] },
  'migrate/ledger': { values: ['sql/', 'connection/', 'citus/', 'migrate/files/'] },
  'migrate/engine': { values: ['sql/', 'connection/', 'migrate/ledger/'] },
  'migrate/backfill': { values: ['sql/', 'connection/', 'migrate/files/', 'migrate/ledger/'] },
  'migrate/repeatable': { values: ['sql/'] },
  'migrate/plan': {
    values: ['sql/', 'connection/', 'report/', 'migrate/options.ts', 'migrate/files/'].concat([
      'migrate/ledger/',
      'migrate/backfill/',
      'migrate/repeatable/',
    ]),
    types: ['migrate/progress.ts'],
  },
  'migrate/apply': { values: below('migrate/apply') },
  'migrate/checks': { values: below('migrate/checks') },
  'migrate/preview': { values: below('migrate/preview') },
  'migrate/repair': { values: below('migrate/repair') },
  'migrate/seed': { values: below('migrate/seed') },
  'migrate/expand': { values: below('migrate/expand').concat('migrate/checks/') },
  'migrate/squash': { values: below('migrate/squash').concat('migrate/checks/') },
  adopt: { values: ['sql/', 'connection/', 'migrate/', 'report/'] },
  pool: { values: ['sql/quote.ts', 'connection/', 'config/', 'embedded/'] },
  typescript: {
    values: ['connection/', 'migrate/checks/', 'structure/', 'pool/values.ts', 'report/'],
  },
  diagram: { values: ['sql/', 'connection/', 'catalog/', 'migrate/checks/'] },
  application: { values: ['pool/', 'migrate/', 'connection/', 'config/'] },
  stats: { values: ['sql/', 'citus/', 'connection/', 'report/'] },
  events: { values: ['sql/', 'connection/', 'config/', 'pool/', 'report/'] },
  database: { values: ['sql/', 'citus/', 'connection/', 'report/'] },
  monitor: { values: ['sql/', 'connection/', 'stats/', 'report/'] },
  doctor: { values: ['sql/', 'citus/', 'connection/', 'stats/', 'events/', 'report/'] },
  history: { values: ['sql/', 'connection/', 'stats/', 'doctor/', 'report/'] },
  overview: {
    values: ['sql/', 'connection/', 'stats/', 'doctor/', 'history/', 'events/', 'report/'].concat(
      'migrate/ledger/',
    ),
  },
  fleet: {
    values: ['sql/quote.ts', 'connection/', 'config/', 'structure/', 'migrate/', 'report/'].concat([
      ...['doctor/', 'database/'],
    ]),
  },
  report: { values: [], types: [''] },
  'index.ts': { values: library },
  'index.events.ts': { values: library },
  'index.ops.ts': { values: library },
  'index.lint.ts': { values: library },
  cli: { values: [...library.filter((room) => !hiddenFromCli.has(room)), 'sql/mask.ts'] },
};

/** What stands on the migrations of a plan. */
function below(room: string): string[] {
  const shared = [
    'sql/',
    'connection/',
    'citus/',
    'scratch/',
    'structure/',
    'catalog/',
    'impact/',
    'lint/',
  ];
  const migrate = [
    'options.ts',
    'progress.ts',
    'files/',
    'ledger/',
    'engine/',
    'backfill/',
    'repeatable/',
    'plan/',
  ].map((path) => `migrate/${path}`);
  const values = [...shared, 'trace/', 'report/', ...migrate];
  if (room !== 'migrate/apply') values.push('migrate/apply/');
  return values;
}

const everywhere = ['errors.ts', 'text/', 'file-system.ts'];

/** Dependencies point one way. */
export const pointsOneWay: Rule = (files) =>
  files.flatMap(({ path, imports }) => {
    const within = path.slice('src/'.length);
    const room = Object.keys(rooms).find(
      (name) => within === name || within.startsWith(`${name}/`),
    );
    const rule = room === undefined ? undefined : rooms[room];
    if (rule === undefined) return [`${path} is in a folder that has no rule`];
    return imports
      .filter(({ from }) => from.startsWith('src/') && !from.startsWith(`src/${room}`))
      .filter(({ from, isTypeOnly }) => {
        const values = [...everywhere, 'finding.ts', ...rule.values];
        const targets = isTypeOnly ? [...values, ...(rule.types ?? [])] : values;
        return !targets.some((target) => from.startsWith(`src/${target}`));
      })
      .map(({ from, isTypeOnly }) => `${path} imports ${isTypeOnly ? 'a type of ' : ''}${from}`);
  });

const pureParts =
  /^src\/(migrate\/(plan\/(plan|compare|check)|repair\/repair-plan|preview\/(budget|impact-plan|report|statement-effects)|checks\/report|engine\/judge|apply\/report)\.ts|impact\/|lint\/|report\/|events\/report|adopt\/report|text\/)/;
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

/** What `evdb`, `evdb/events`, `evdb/ops` and `evdb/lint` export. */
const isEntry = (path: string) => /^src\/index(\.\w+)?\.ts$/.test(path);

/** Files stay short, are named after their topic, and export by name. */
export const keepsFilesSmallAndNamed: Rule = (files) =>
  files.flatMap(({ path, code, lineCount, imports }) => {
    const found: string[] = [];
    if (lineCount > maxLines) found.push(`has ${lineCount} lines, more than ${maxLines}`);
    if (/\/(utils?|types|helpers?|common|index)\.ts$/.test(path) && !isEntry(path)) {
      found.push('has a name that says nothing');
    }
    if (/^export\s+(default\b|\*)/m.test(code)) found.push('does not export by name');
    const isBarrel = imports.length > 0 && /^\s*(export\s[^;=(]*from\s+'[^']+';\s*)+$/.test(code);
    if (isBarrel && !isEntry(path)) found.push('only hands on what others export');
    return found.map((what) => `${path} ${what}`);
  });

/** Words, tables and formats: all of them pure, see `staysPure`, but for the one that writes a file. */
const shows =
  /^src\/(text\/|report\/|finding\.ts|sql\/mask\.ts|file-system\.ts)|\/(\w+-)?report\.ts$/;

/** What shows a thing and stands beside what reads it: `renderPing`, `pipelineOfStatus`, `INDEXES_VIEW`. */
const isRenderer = (name: string) => /^(render|pipelineOf|findingsOf)[A-Z]|_VIEW$/.test(name);

/** All that the CLI does, the users of the library can do, by the same name; how it shows it is its own. */
export const givesLibraryWhatCliUses: Rule = (files) => {
  const exported = new Set(
    files
      .filter(({ path }) => isEntry(path))
      .flatMap(({ imports }) => imports)
      .flatMap(({ from, names }) => names.map((name) => `${name} of ${from}`)),
  );
  const used = files
    .filter(({ path }) => path.startsWith('src/cli/'))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => from.startsWith('src/') && !from.startsWith('src/cli/'))
        .filter(({ from }) => !shows.test(from))
        .flatMap(({ from, names }) => names.map((name) => ({ path, name, from }))),
    );
  return used
    .filter(({ name, from }) => !isRenderer(name) && !exported.has(`${name} of ${from}`))
    .map(({ path, name, from }) => `${path} uses ${name} of ${from}, which no entry exports`);
};
