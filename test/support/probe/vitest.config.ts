import { defineConfig } from 'vitest/config';

// For test/support/fixture.server.test.ts: tests that fail on purpose, which no other run may find.
export default defineConfig({
  test: {
    include: ['test/support/probe/*.probe.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default'],
  },
});
