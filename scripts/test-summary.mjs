// Prints `N passed, N failed[, N skipped]` from reports of vitest's JSON reporter:
// `node scripts/test-summary.mjs <file…>`. Exits 1 where a test failed or none ran.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Counts the tests of a report; a file that could not be loaded counts as one failed test. */
export function readSummary(file) {
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // vitest writes no report where it could not even start.
    return { passed: 0, failed: 0, skipped: 0 };
  }
  const brokenFiles = report.testResults.filter(
    (result) =>
      result.status === 'failed' &&
      !result.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const summaries = process.argv.slice(2).map(readSummary);
  const sum = (key) => summaries.reduce((total, summary) => total + summary[key], 0);
  const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map(sum);
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  if (failed > 0 || summaries.some((summary) => summary.passed === 0)) process.exitCode = 1;
}
