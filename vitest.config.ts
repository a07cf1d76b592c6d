import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const reportFile = process.env.EVDB_TEST_REPORT;

// What a file of tests needs stands in its name, and makes it part of a project.
const WITH_SERVER = ['server', 'cli', 'faults', 'proof'];

/** A project whose tests use the one real PostgreSQL server of the run. */
function projectWithServer(name: string) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/**/*.${name}.test.ts`],
      globalSetup: ['test/support/global-setup.ts'],
      testTimeout: 60_000,
      hookTimeout: 120_000,
    },
  };
}

export default defineConfig({
  test: {
    // Much of the time is spent waiting for servers, clients and locks: one worker a core would leave
    // cores idle.
    maxWorkers: Math.ceil(1.5 * availableParallelism()),
    // No test changes a module: a process of its own for each file would spend a third of the time on starting,
    // and on loading the same sources again.
    isolate: false,
    // The default of one second is too short for what takes a moment on a busy machine.
    expect: { poll: { timeout: 20_000 } },
    reporters: reportFile ? ['default', ['json', { outputFile: reportFile }]] : ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // A test of a second may take many beside others; one that hangs still ends.
          testTimeout: 60_000,
          // Not by `exclude`, which would take the place of the one on the command line.
          include: [`test/**/!(*.${WITH_SERVER.join('|*.')}).test.ts`],
        },
      },
      ...WITH_SERVER.map(projectWithServer),
    ],
  },
});
