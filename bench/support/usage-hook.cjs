'use strict';
// Loaded into a measured process with --require: writes down what it used when it ends.
const { readFileSync, writeFileSync } = require('node:fs');

process.once('exit', () => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  writeFileSync(
    process.env.BENCH_USAGE_FILE,
    JSON.stringify({
      userMs: userCPUTime / 1000,
      systemMs: systemCPUTime / 1000,
      peakRssBytes: peakRssBytes(),
    }),
  );
});

// On Linux the kernel's ru_maxrss starts at the size of the parent, so it is not asked there.
function peakRssBytes() {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return Number(kilobytes) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
