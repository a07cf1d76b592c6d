// Runs one of the proofs in its long form, and says what it found:
//   npm run test:faults -- [--runs N] [--seed S]
//   npm run test:backfill -- [--kills N] [--seed S]
//   npm run test:races -- [--seeds N] [--attempts N] [--queries N] [--seed S]
//   npm run test:fuzz -- [--minutes M] [--seed S]
// --json <file> keeps what was counted, --with <file> adds what an earlier run kept, and --write puts the table
// of this proof, and of no other, into docs/proof.md. `npm test` runs the short forms. A run is repeated by its
// seed: --runs 1 --seed <seed>. With --runs 0 nothing runs, and only what was kept is counted.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { renderTable, writeSection } from './proof-page.mjs';

/** Which tests each proof is, and how much of them its long form. */
const PROOFS = {
  faults: { sizes: { runs: 2000 }, files: ['proof/faults.proof'] },
  backfill: { sizes: { kills: 200 }, files: ['proof/backfill.proof'] },
  fuzz: {
    sizes: { minutes: 20 },
    files: [
      ...['proof/fuzz.proof', 'proof/scripts.proof', 'proof/locks.proof'],
      'proof/structures.proof',
    ],
  },
  races: {
    sizes: { seeds: 20, attempts: 1_000_000, queries: 1_000_000 },
    files: [
      ...['proof/races.proof', 'proof/registrations.proof', 'proof/pool.proof'],
      ...['migrate/apply/processes.faults', 'migrate/apply/backfill.faults'],
      ...['migrate/apply/failover.faults', 'migrate/ledger/tenants.server'],
      ...['event-schema/kill.faults', 'event-schema/mix.server', 'event-schema/model.server'],
      ...['event-schema/isolation.server', 'event-schema/concurrency.server'],
      ...['pool/chaos.faults', 'pool/answers.faults', 'pool/pooler.faults', 'fleet/fleet.faults'],
    ],
  },
};

const number = { type: 'string' };
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...{
      runs: number,
      kills: number,
      seeds: number,
      attempts: number,
      queries: number,
      minutes: number,
    },
    seed: { type: 'string' },
    json: { type: 'string' },
    with: { type: 'string', multiple: true },
    write: { type: 'boolean' },
  },
});
const name = positionals[0] ?? '';
if (!(name in PROOFS)) {
  console.error(`which proof? ${Object.keys(PROOFS).join(', ')}`);
  process.exit(2);
}

const { files } = PROOFS[name];
const sizes = Object.fromEntries(
  Object.entries(PROOFS[name].sizes).map(([key, size]) => [key, Number(values[key] ?? size)]),
);
const runsNothing = Object.values(sizes).every((size) => size === 0);
const startedAt = Date.now();
const { status, kept } = runsNothing ? { status: 0, kept: emptyKept() } : runProof();
const seconds = Math.round((Date.now() - startedAt) / 1000);
const all = [...(values.with ?? []).map(readEarlier), { ...kept, seconds }].reduce(addKept);
const result = renderResult(all);
console.log(result);
if (values.json) writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`);
if (values.write && (all.records.length > 0 || Object.keys(all.counts).length > 0)) {
  writeSection(name, result);
}
process.exitCode = status ?? 1;

function runProof() {
  const folder = mkdtempSync(join(tmpdir(), 'evdb-proof-'));
  const out = join(folder, 'records.json');
  const { status: ended } = spawnSync(
    'npx',
    ['vitest', 'run', ...files.map((file) => `test/${file}.test.ts`)],
    {
      stdio: 'inherit',
      env: {
        ...process.env,
        EVDB_PROOF: name,
        EVDB_PROOF_OUT: out,
        EVDB_PROOF_SIZES: JSON.stringify(sizes),
        // For the tests that stand elsewhere, and try their own few seeds without it.
        ...(sizes.seeds && { EVDB_TEST_SEEDS: String(sizes.seeds) }),
        EVDB_PROOF_SEED: values.seed ?? '1',
      },
    },
  );
  const found = readKept(folder, out);
  rmSync(folder, { recursive: true, force: true });
  return { status: ended, kept: { ...found, commits: [readCommit()] } };
}

function emptyKept() {
  return { server: '', records: [], counts: {}, seconds: 0, commits: [] };
}

/** Records of single runs, and what tests counted, each in a file of its own. */
function readKept(folder, out) {
  const kept = existsSync(out) ? JSON.parse(readFileSync(out, 'utf8')) : {};
  const counts = Object.fromEntries(
    readdirSync(folder)
      .filter((file) => file.startsWith('records.json.'))
      .map((file) => [file.slice(13), JSON.parse(readFileSync(join(folder, file), 'utf8'))]),
  );
  return { ...emptyKept(), ...kept, counts };
}

function readEarlier(file) {
  return { ...emptyKept(), ...JSON.parse(readFileSync(file, 'utf8')) };
}

function addKept(one, other) {
  return {
    server: other.server || one.server,
    records: [...one.records, ...other.records],
    counts: addCounts(one.counts, other.counts),
    seconds: one.seconds + other.seconds,
    commits: [...new Set([...one.commits, ...other.commits])],
  };
}

/** Adds numbers that stand under the same names, at any depth. */
function addCounts(one, other) {
  const sum = { ...one };
  for (const [key, value] of Object.entries(other)) {
    const before = sum[key];
    sum[key] = typeof value === 'number' ? (before ?? 0) + value : addCounts(before ?? {}, value);
  }
  return sum;
}

function readCommit() {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
}

function renderResult({ server, records, counts, seconds: took, commits }) {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const where = [
    `evdb ${version} at ${commits.join(', ')}`,
    `Node ${process.versions.node}`,
    server,
  ];
  const machine = `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}`;
  const wrong = records.filter((one) => one.wrong.length > 0).length;
  const told = records.length > 0 ? `${records.length} runs, ${wrong} of them wrong; ` : '';
  const said = `${told}${took} s up to ${new Date().toISOString().slice(0, 10)}: ${[...where, machine].filter(Boolean).join(', ')}.`;
  return [
    ...(records.length > 0 ? [renderRuns(records)] : []),
    ...(Object.keys(counts).length > 0 ? [renderCounts(counts)] : []),
    said,
  ].join('\n\n');
}

/** What each test counted, and under it what its attempts ended with. */
function renderCounts(counts) {
  const rows = Object.entries(counts).flatMap(([what, one]) =>
    Object.entries(one).flatMap(([key, value]) =>
      typeof value === 'number'
        ? [[`${what}: ${key}`, value.toLocaleString('en')]]
        : Object.entries(value)
            .sort(([, a], [, b]) => b - a)
            .map(([code, count]) => [`${what}: ${key}: ${code}`, count.toLocaleString('en')]),
    ),
  );
  return renderTable(['counted', 'number'], rows);
}

/** In Markdown, for docs/proof.md. */
function renderRuns(all) {
  const names = [...new Set(all.map(({ disturbance }) => disturbance))].sort();
  const rows = names.map((disturbance) => {
    const mine = all.filter((one) => one.disturbance === disturbance);
    const count = (test) => String(mine.filter(test).length);
    return [
      disturbance,
      String(mine.length),
      count(({ struck }) => struck),
      count(({ outcome }) => !['done', 'exit 0'].includes(outcome)),
      count(({ wrong }) => wrong.length > 0),
    ];
  });
  const head = ['disturbance', 'runs', 'struck in time', 'command failed', 'wrong afterwards'];
  return renderTable(head, rows);
}
