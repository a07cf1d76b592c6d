import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EvdbError, type MigrateOptions, migrateUp } from '../../src/index.ts';
import { mayMount } from '../embedded/embedded-kit.ts';
import { closeSql, createDatabase, openSql, withDatabase } from '../support/databases.ts';
import { type OwnServer, startOwnServer } from '../support/own-server.ts';
import { type FaultyProxy, startProxy } from '../support/proxy.ts';
import { type Random, randomOf } from '../support/random.ts';
import { runCli, startCli } from '../support/run-cli.ts';
import { connectionTo } from '../support/sessions.ts';
import { crash } from './crash.ts';
import { DISTURBANCES, type Disturbance, type Reach } from './disturbances.ts';
import { makeFolder, writeFolder } from './folders.ts';
import { makeSmallDisk } from './full-disk.ts';
import { judge } from './judge.ts';
import { chooseOperation, type Operation, type Stage } from './operations.ts';
import { keepRecords, type RunRecord, settings } from './records.ts';

// Commands are disturbed at a moment of chance and at every packet, run again as anybody would, and the
// database is judged by statements of this folder. `npm run test:faults` runs more of them.

const { runs, seed: firstSeed } = settings('faults', { runs: 24 });

let server: OwnServer;
let directory: string;
let url: string;
let admin: ReturnType<typeof openSql>;
let proxy: FaultyProxy;
const records: RunRecord[] = [];

beforeAll(async () => {
  server = await startOwnServer({ max_connections: '100' });
  const maintenance = openSql(server.url, 1);
  await createDatabase(maintenance, 'proof');
  await closeSql(maintenance);
  url = withDatabase(server.url, 'proof');
  admin = openSql(url, 2);
  await makeNotes(admin);
  proxy = await startProxy(url);
  directory = await mkdtemp(join(tmpdir(), 'evdb-test-proof-'));
});

afterAll(async () => {
  const [{ version = '' } = {}] = await admin`select current_setting('server_version') as version`;
  await keepRecords('faults', { server: `PostgreSQL ${version}`, records });
  await proxy?.close();
  if (admin) await closeSql(admin);
  await server?.remove();
  await rm(directory, { recursive: true, force: true });
});

test(
  'a command that is disturbed at any moment and run again leaves nothing half done',
  async () => {
    for (let run = 0; run < runs; run++) {
      const seed = firstSeed + run;
      const random = randomOf(seed);
      records.push(await disturb(random, `run_${seed}`, random.pick(DISTURBANCES), seed));
    }
    expect(records.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
    // A proof that never strikes would prove nothing.
    expect(records.filter(({ struck }) => struck).length).toBeGreaterThan(runs / 4);
  },
  hours(6),
);

for (const forward of [false, true]) {
  const which = forward ? 'whose answer is not heard' : 'that is not sent';
  test(
    `a cut at each packet ${which} leaves nothing half done`,
    async () => {
      const seeds = runs > 100 ? [1, 2, 3, 4, 5, 6] : [2];
      for (const seed of seeds) {
        const sweep = await sweepPackets(forward, seed);
        records.push(...sweep);
        expect(sweep.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
        expect(sweep.length).toBeGreaterThan(8);
      }
    },
    hours(2),
  );
}

async function makeNotes(sql: typeof admin): Promise<void> {
  await sql`create schema proof`;
  await sql`create table proof.ran (schema text, version integer, direction text)`;
}

function hours(count: number): number {
  return count * 3_600_000;
}

/** Cuts the same command at its first packet, at its second, and so on, until none is left. */
async function sweepPackets(forward: boolean, seed: number): Promise<RunRecord[]> {
  const swept: RunRecord[] = [];
  for (let packet = 1; packet < 500; packet++) {
    const at: Disturbance = {
      name: forward ? 'each answer in turn' : 'each packet in turn',
      isOfProcess: false,
      begin: () => {
        proxy.cutAtPacket(packet, { forward });
        return async () => {
          const struck = !proxy.isArmed();
          proxy.disarm();
          return struck;
        };
      },
    };
    const record = await disturb(randomOf(seed), `sweep_${forward}_${seed}_${packet}`, at, seed);
    swept.push(record);
    if (!record.struck) return swept;
  }
  throw new Error('the command never came to its end');
}

async function disturb(
  random: Random,
  schema: string,
  disturbance: Disturbance,
  seed: number,
): Promise<RunRecord> {
  const folder = makeFolder(random);
  const operation = chooseOperation(random, folder);
  await writeFolder(directory, folder);
  const options: MigrateOptions = { connection: await connectionTo(url), directory, schema };
  const stage: Stage = { sql: admin, schema, folder, directory, options };
  await operation.prepare(stage);
  const first = await runDisturbed(operation, stage, disturbance, random);
  const wrong = [...first.wrong, ...(await runAgain(operation, stage))];
  for (const one of [schema, ...(operation.others?.(schema) ?? [])]) {
    wrong.push(...(await judge(admin, { schema: one, folder, ...operation.expected })));
    await admin.unsafe(`drop schema if exists ${one} cascade`);
  }
  const kinds = folder.map(({ kind }) => kind);
  const { struck, outcome } = first;
  return {
    ...{ seed, schema, operation: operation.name, disturbance: disturbance.name, kinds },
    ...{ struck, outcome, wrong },
  };
}

interface First {
  struck: boolean;
  outcome: string;
  wrong: string[];
}

async function runDisturbed(
  operation: Operation,
  stage: Stage,
  disturbance: Disturbance,
  random: Random,
): Promise<First> {
  const reach: Reach = { random, proxy, admin, crashServer: () => crash(server) };
  if (!disturbance.isOfProcess && !operation.isOfProcess) {
    const connection = await connectionTo(proxy.url);
    const end = disturbance.begin(reach);
    const error = await operation.run({ ...stage.options, connection }).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    const struck = await end();
    return { struck, ...judgeError(error) };
  }
  const reached = disturbance.isOfProcess ? url : proxy.url;
  const running = startCli(argsOf(operation, stage), {
    ...{ cwd: directory, timeoutMs: 120_000 },
    env: { EVDB_URL: reached, EVDB_MIGRATIONS_DIR: directory },
  });
  const end = disturbance.begin(reach, running);
  const { code, signal, stderr } = await running.result;
  const struck = await end();
  const wrong = /^\s+at .*:\d+:\d+/m.test(stderr) ? [`a stack: ${stderr}`] : [];
  if (code !== null && ![0, 1, 3, 4, 130].includes(code))
    wrong.push(`exit code ${code}: ${stderr}`);
  return { struck, outcome: signal ?? `exit ${code}`, wrong };
}

/** A fleet says itself which schemas are meant. */
function argsOf({ args, isOfProcess }: Operation, { schema }: Stage): string[] {
  return isOfProcess ? args : [...args, '--schema', schema];
}

/** Whatever happens, it is told as one of evdb's errors, and never as a fault in evdb. */
function judgeError(error: unknown): Pick<First, 'outcome' | 'wrong'> {
  if (error === undefined) return { outcome: 'done', wrong: [] };
  if (error instanceof EvdbError && error.code !== 'INTERNAL') {
    return { outcome: error.code, wrong: [] };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { outcome: 'a fault', wrong: [stack] };
}

/** As somebody does who saw the error, and knows nothing of what became of it. */
async function runAgain(operation: Operation, stage: Stage): Promise<string[]> {
  const { options } = stage;
  try {
    if (operation.isOfProcess) {
      const env = { EVDB_URL: url, EVDB_MIGRATIONS_DIR: directory };
      const { code, stderr } = await runCli(argsOf(operation, stage), { cwd: directory, env });
      if (code !== 0) return [`the same again: exit code ${code}: ${stderr}`];
    } else await operation.run(options);
    await operation.afterwards?.(options);
    return [];
  } catch (error) {
    return [`the same again: ${error instanceof Error ? error.message : String(error)}`];
  }
}

test('what the CLI prints to a full disk is lost, and what it did is not', async () => {
  const schema = 'full_disk';
  const folder = makeFolder(randomOf(3));
  await writeFolder(directory, folder);
  const args = ['migrate', 'up', '--schema', schema, '--migrations-dir', directory];
  const env = { EVDB_URL: url };
  const line = `exec evdb ${args.join(' ')} > /dev/full`;
  const { pasteCommand } = await import('../support/run-cli.ts');
  const { code, stderr } = await pasteCommand(line, { cwd: directory, env });
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('OUTPUT_LOST'),
  });
  const applied = folder.map(({ version }) => version);
  expect(await judge(admin, { schema, folder, applied })).toEqual([]);
  expect((await runCli(args, { cwd: directory, env })).code).toBe(0);
});

test.skipIf(!mayMount)(
  'a disk of the server that is full leaves nothing half done (made with the right to mount)',
  async () => {
    const maintenance = openSql(server.url, 1);
    const disk = await makeSmallDisk(maintenance, 'small_disk', server.dataDirectory);
    const smallUrl = withDatabase(server.url, 'small_disk');
    const sql = openSql(smallUrl, 1);
    await makeNotes(sql);
    const failed: string[] = [];
    for (const [index, kilobytes] of [0, 40, 80, 120, 160, 240, 320, 480, 640].entries()) {
      const schema = `disk_${kilobytes}`;
      const folder = makeFolder(randomOf(index));
      await writeFolder(directory, folder);
      const options = { connection: await connectionTo(smallUrl), directory, schema };
      disk.leave(kilobytes * 1024);
      const error = await migrateUp(options).then(
        () => undefined,
        (failure: unknown) => failure,
      );
      const { outcome, wrong } = judgeError(error);
      if (outcome !== 'done') failed.push(outcome);
      disk.free();
      await migrateUp(options);
      const applied = folder.map(({ version }) => version);
      expect([...wrong, ...(await judge(sql, { schema, folder, applied }))], schema).toEqual([]);
      await sql.unsafe(`drop schema ${schema} cascade`);
    }
    expect(failed.length).toBeGreaterThan(3);
    await closeSql(sql);
    await disk.remove();
    await closeSql(maintenance);
  },
  300_000,
);
