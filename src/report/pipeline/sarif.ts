import { fingerprintsOf } from './fingerprint.ts';
import {
  type PipelinePlace,
  type PipelineProblem,
  type PipelineReport,
  type PipelineSeverity,
  repositoryPath,
} from './pipeline-report.ts';

const LEVELS: Record<PipelineSeverity, string> = {
  error: 'error',
  warning: 'warning',
  note: 'note',
};

/**
 * A SARIF 2.1.0 log, as GitHub code scanning and editors read it.
 *
 * @see https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
 */
export function renderSarif(report: PipelineReport, place: PipelinePlace): string {
  const rules = [...new Set(report.problems.map(({ rule }) => rule))].sort();
  const fingerprints = fingerprintsOf(report.problems, place);
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'evdb',
            semanticVersion: place.toolVersion,
            rules: rules.map((id) => ({ id, shortDescription: { text: describeRule(id) } })),
          },
        },
        automationDetails: { id: `evdb ${report.command}/` },
        columnKind: 'unicodeCodePoints',
        originalUriBaseIds: { ROOT: { description: { text: "The repository's root." } } },
        results: report.problems.map((problem, index) =>
          sarifResult(problem, { rules, place, fingerprint: fingerprints[index] ?? '' }),
        ),
      },
    ],
  };
  return JSON.stringify(log, null, 2);
}

/** `set-not-null` and `CHANGED_MIGRATION` as words. */
function describeRule(id: string): string {
  return id.toLowerCase().replace(/[-_]/g, ' ');
}

function sarifResult(
  problem: PipelineProblem,
  at: { rules: string[]; place: PipelinePlace; fingerprint: string },
): object {
  const { rule, severity, message, hint, file } = problem;
  const region = sarifRegion(problem);
  return {
    ruleId: rule,
    ruleIndex: at.rules.indexOf(rule),
    level: LEVELS[severity],
    message: { text: hint ? `${message}\n${hint}` : message },
    locations: [
      {
        physicalLocation: {
          artifactLocation: {
            uri: encodePath(repositoryPath(file ?? at.place.fallbackFile, at.place)),
            uriBaseId: 'ROOT',
          },
          ...(region && { region }),
        },
      },
    ],
    partialFingerprints: { 'evdb/v1': at.fingerprint },
  };
}

function sarifRegion({ line, column, endLine, endColumn }: PipelineProblem): object | undefined {
  if (line === undefined) return undefined;
  return {
    startLine: line,
    ...(column !== undefined && { startColumn: column }),
    ...(endLine !== undefined && { endLine }),
    ...(endColumn !== undefined && { endColumn }),
  };
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
