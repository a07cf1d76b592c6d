/**
 * Runs tests for Stryker in its own process, where they and what they test are loaded once: a mutant
 * then costs some milliseconds. Stryker's runner for vitest begins a run of vitest for each, which
 * takes half a second.
 */
import { resolve } from 'node:path';
import { INSTRUMENTER_CONSTANTS } from '@stryker-mutator/api/core';
import { declareFactoryPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import { DryRunStatus, MutantRunStatus, TestStatus } from '@stryker-mutator/api/test-runner';
import { startTests } from '@vitest/runner';
import { createServer, createServerModuleRunner } from 'vite';

/** Stands for a mutant for which nothing else ends: the timeout of Stryker begins a new process. */
const NEVER = new Promise(() => {});

const TEST_TIMEOUT_MS = 5_000;

class RoomTestRunner {
  #root = process.cwd();
  #files = JSON.parse(process.env.EVDB_MUTATION_TESTS ?? '[]').map((file) => resolve(file));
  /** What Stryker writes into the code reads and counts here. */
  #state = {};
  #server;
  #modules;

  capabilities() {
    return { reloadEnvironment: false };
  }

  async init() {
    process.env.NODE_ENV = 'test';
    process.env.VITEST = '1';
    globalThis[INSTRUMENTER_CONSTANTS.NAMESPACE] = this.#state;
    // `expect` wants to know which worker of vitest it is in; snapshots need more than this.
    globalThis.__vitest_worker__ = { config: { expect: {} }, ctx: {}, environment: {} };
    this.#server = await createServer({
      root: this.#root,
      configFile: false,
      appType: 'custom',
      logLevel: 'error',
      server: { middlewareMode: true, watch: null, hmr: false, ws: false },
      optimizeDeps: { noDiscovery: true },
    });
    this.#modules = createServerModuleRunner(this.#server.environments.ssr, { hmr: false });
  }

  async dryRun() {
    this.#state.activeMutant = undefined;
    this.#state.hitLimit = undefined;
    const tests = await this.#run(this.#files, { isWanted: () => true, bails: false });
    return { status: DryRunStatus.Complete, tests, mutantCoverage: this.#state.mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit }) {
    const wanted = new Set(testFilter);
    const files = this.#files.filter((file) => testFilter?.some((id) => id.startsWith(`${file}#`)));
    Object.assign(this.#state, { activeMutant: activeMutant.id, hitCount: 0, hitLimit });
    const tests = await this.#run(files, { isWanted: (id) => wanted.has(id), bails: true });
    this.#state.activeMutant = undefined;
    if (hitLimit !== undefined && this.#state.hitCount > hitLimit)
      return { status: MutantRunStatus.Timeout };
    const failed = tests.find(({ status }) => status === TestStatus.Failed);
    if (failed?.isTimeout) return NEVER;
    const nrOfTests = tests.length;
    return failed
      ? {
          status: MutantRunStatus.Killed,
          killedBy: [failed.id],
          failureMessage: failed.failureMessage,
          nrOfTests,
        }
      : { status: MutantRunStatus.Survived, nrOfTests };
  }

  async dispose() {
    await this.#modules?.close();
    await this.#server?.close();
  }

  async #run(files, { isWanted, bails }) {
    const results = [];
    const state = this.#state;
    const modules = this.#modules;
    const ran = await startTests(files, {
      config: this.#config(),
      async importFile(path) {
        const loaded = modules.evaluatedModules.getModuleById(path);
        if (loaded) modules.evaluatedModules.invalidateModule(loaded);
        await modules.import(path);
      },
      onBeforeRunTask(test) {
        const isOver = bails && results.some(({ status }) => status === TestStatus.Failed);
        if (isOver || !isWanted(idOf(test))) test.mode = 'skip';
        else state.currentTestId = idOf(test);
      },
      onAfterRunTask(test) {
        state.currentTestId = undefined;
        if (test.mode !== 'skip') results.push(resultOf(test));
      },
    });
    results.push(...ran.flatMap(failureOf));
    return results;
  }

  #config() {
    return {
      root: this.#root,
      setupFiles: [],
      tags: [],
      allowOnly: true,
      passWithNoTests: true,
      maxConcurrency: 1,
      retry: 0,
      testTimeout: TEST_TIMEOUT_MS,
      hookTimeout: TEST_TIMEOUT_MS,
      sequence: { concurrent: false, shuffle: false, hooks: 'stack', setupFiles: 'list' },
    };
  }
}

function idOf(test) {
  const names = [];
  for (let at = test; at && at !== test.file; at = at.suite) names.unshift(at.name);
  return `${test.file.filepath}#${names.join(' > ')}`;
}

const STATUS_OF = { pass: TestStatus.Success, fail: TestStatus.Failed };

function resultOf(test) {
  const id = idOf(test);
  const { state, duration = 0, errors = [] } = test.result ?? {};
  const [message = ''] = errors.map((error) => error.message);
  return {
    ...{ id, name: id, fileName: test.file.filepath, timeSpentMs: duration },
    status: STATUS_OF[state] ?? TestStatus.Skipped,
    ...(state === 'fail' && { failureMessage: message }),
    isTimeout: message.startsWith('Test timed out in'),
  };
}

/** A file whose tests could not be collected, or a hook that failed, fails as a test of its own. */
function failureOf(file) {
  const errors = [file, ...file.tasks.filter(({ type }) => type === 'suite')].flatMap(
    (suite) => suite.result?.errors ?? [],
  );
  if (errors.length === 0) return [];
  const id = `${file.filepath}#`;
  const failureMessage = errors[0].message;
  return [
    { id, name: id, timeSpentMs: 0, status: TestStatus.Failed, failureMessage, isTimeout: false },
  ];
}

const create = Object.assign(() => new RoomTestRunner(), { inject: [] });

export const strykerPlugins = [declareFactoryPlugin(PluginKind.TestRunner, 'room', create)];
