import { renderComment } from './comment.ts';
import { renderGithub } from './github.ts';
import { renderGitlab } from './gitlab.ts';
import { renderJunit } from './junit.ts';
import type { PipelinePlace, PipelineReport } from './pipeline-report.ts';
import { renderSarif } from './sarif.ts';

/** The formats for pipelines; `human` and `json` are every command's own. */
export type PipelineFormat = 'sarif' | 'github' | 'gitlab' | 'junit' | 'markdown';

const RENDERERS: Record<PipelineFormat, (report: PipelineReport, place: PipelinePlace) => string> =
  {
    sarif: renderSarif,
    github: renderGithub,
    gitlab: renderGitlab,
    junit: renderJunit,
    markdown: renderComment,
  };

/**
 * Writes what a command found in one of the formats that pipelines read. Pure.
 *
 * @example renderPipeline('sarif', pipelineOfStatus(status), place)
 */
export function renderPipeline(
  format: PipelineFormat,
  report: PipelineReport,
  place: PipelinePlace,
): string {
  return RENDERERS[format](report, place);
}
