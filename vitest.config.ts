import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const reportFile = process.env.EVDB_TEST_REPORT;

// What a file of tests needs stands in its name, and makes it part of a project.
const WITH_SERVER = ['server', 'cli', 'faults'];

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
    // Most of the time is spent waiting for the server, so one worker would leave it idle.
    maxWorkers: Math.max(2, availableParallelism()),
    reporters: reportFile ? ['default', ['json', { outputFile: reportFile }]] : ['default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // Not by `exclude`, which would take the place of the one on the command line.
          include: [`test/**/!(*.${WITH_SERVER.join('|*.')}).test.ts`],
        },
      },
      ...WITH_SERVER.map(projectWithServer),
    ],
  },
});
