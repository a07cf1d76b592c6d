import { hash } from 'node:crypto';
import { type PipelinePlace, type PipelineProblem, repositoryPath } from './pipeline-report.ts';

/**
 * An id for each problem that stays when lines above it move, so that a pipeline tells new ones
 * from old ones. Equal problems in one file are counted, because GitLab shows only one of a kind.
 */
export function fingerprintsOf(problems: PipelineProblem[], place: PipelinePlace): string[] {
  const seen = new Map<string, number>();
  return problems.map(({ fingerprint, file, rule, message }) => {
    const path = repositoryPath(file ?? place.fallbackFile, place);
    const base = fingerprint ?? hash('sha256', [path, rule, message].join('\0'), 'hex');
    const before = seen.get(base) ?? 0;
    seen.set(base, before + 1);
    return before === 0 ? base : hash('sha256', `${base}\0${before}`, 'hex');
  });
}
