import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const reportFile = process.env.EVDB_TEST_REPORT;

/** A project whose tests use the one real PostgreSQL server of the run. */
function projectWithServer(name: string, folders: string[]) {
  return {
    extends: true as const,
    test: {
      name,
      include: folders.map((folder) => `test/${folder}/**/*.test.ts`),
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
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'] },
      },
      projectWithServer('integration', ['integration', 'support']),
      projectWithServer('cli', ['cli']),
      projectWithServer('faults', ['faults']),
    ],
  },
});
