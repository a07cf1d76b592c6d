// Says whether the package may be published: `node scripts/release-check.mjs <tag>`, as v1.2.3.
// Exits 1 with a line for each reason why not.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The address of the repository is not known yet; OWNER stands for its owner. */
const PLACEHOLDER = /\bOWNER\/evdb\b/;

/**
 * Why the package must not be published under the tag.
 *
 * @param {{ manifest: any, changelog: string, pages: Map<string, string>, tag: string }} release
 *   `pages`: README.md and the documentation by path
 * @returns {string[]} one line a reason; none where it may be
 */
export function findReleaseProblems({ manifest, changelog, pages, tag }) {
  const { version, homepage, bugs, repository } = manifest;
  const addresses = {
    homepage,
    bugs: bugs?.url ?? bugs,
    repository: repository?.url ?? repository,
  };
  const released = changelog.split('\n').find((line) => line.startsWith(`## [${version}]`));
  return [
    ...Object.entries(addresses)
      .filter(([, address]) => !address || /\bOWNER\b|example\.(com|org)/.test(address))
      .map(
        ([key, address]) =>
          `package.json: ${key} is ${address ?? 'missing'}: write the real address`,
      ),
    // npm shows README with links into the repository, and resolves them for these hosts alone.
    ...(/(github|gitlab)\.com/.test(addresses.repository ?? '')
      ? []
      : ['package.json: repository is not on a host for which npm resolves the links of README']),
    ...(tag === `v${version}` ? [] : [`the tag is ${tag}, package.json says ${version}`]),
    ...(released && /\d{4}-\d{2}-\d{2}$/.test(released)
      ? []
      : [`CHANGELOG.md has no line "## [${version}] - <date>"`]),
    ...[...pages]
      .filter(([, text]) => PLACEHOLDER.test(text))
      .map(([path]) => `${path}: OWNER/evdb stands for the real address`),
    ...findAbsentTargets(pages.get('README.md') ?? '', manifest.files).map(
      (target) => `README.md: ${target} is not in the package: add it to files`,
    ),
  ];
}

function listPages(root) {
  const below = readdirSync(join(root, 'docs'), { recursive: true });
  return [
    'README.md',
    ...below.filter((path) => path.endsWith('.md')).map((path) => `docs/${path}`),
  ];
}

/** What README links to that someone who has only the package would not find. */
function findAbsentTargets(readme, files) {
  // npm packs the first three by itself; the last is for those who have the repository.
  const always = ['README.md', 'LICENSE', 'package.json', 'CONTRIBUTING.md'];
  return [...readme.matchAll(/\]\(([^)\s#]+)/g)]
    .map(([, link]) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => ![...always, ...files].some((file) => `${link}/`.startsWith(`${file}/`)));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const read = (name) => readFileSync(join(root, name), 'utf8');
  const problems = findReleaseProblems({
    manifest: JSON.parse(read('package.json')),
    changelog: read('CHANGELOG.md'),
    pages: new Map(listPages(root).map((path) => [path, read(path)])),
    tag: process.argv[2] ?? '',
  });
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
