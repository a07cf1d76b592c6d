import { Ajv, type ValidateFunction } from 'ajv';
import { validateXML } from 'xmllint-wasm';
import { readPublishedSchema } from './published-schemas.ts';

/** What a text breaks of the format's published schema; empty where it is valid. */
export type FormatCheck = (text: string) => Promise<string[]>;

export const checkSarif: FormatCheck = async (text) => {
  sarif ??= readPublishedSchema('sarif').then((schema) => {
    // It says draft-04, and uses nothing that later drafts read in another way.
    const { $schema, id, ...rest } = JSON.parse(schema) as Record<string, unknown>;
    return compile(rest);
  });
  return violations(await sarif, JSON.parse(text));
};

let sarif: Promise<ValidateFunction> | undefined;

export const checkJunit: FormatCheck = async (text) => {
  const { errors } = await validateXML({
    xml: text,
    schema: await readPublishedSchema('junit'),
  });
  return errors.map(({ rawMessage }) => rawMessage);
};

/** GitLab publishes a table instead of a schema; this is that table. */
const GITLAB_CODE_QUALITY = {
  type: 'array',
  items: {
    type: 'object',
    required: ['description', 'check_name', 'fingerprint', 'location', 'severity'],
    properties: {
      description: { type: 'string', minLength: 1 },
      check_name: { type: 'string', minLength: 1 },
      fingerprint: { type: 'string', minLength: 1 },
      severity: { enum: ['info', 'minor', 'major', 'critical', 'blocker'] },
      location: {
        type: 'object',
        required: ['path', 'lines'],
        properties: {
          // Relative to the root, and without ./ at its start.
          path: { type: 'string', pattern: '^[^./]' },
          lines: {
            type: 'object',
            required: ['begin'],
            properties: { begin: { type: 'integer', minimum: 1 } },
          },
        },
      },
    },
  },
};

export const checkGitlab: FormatCheck = async (text) => {
  const issues = JSON.parse(text) as { fingerprint: string }[];
  const isUnique = new Set(issues.map((one) => one.fingerprint)).size === issues.length;
  return [
    ...violations(compile(GITLAB_CODE_QUALITY), issues),
    ...(isUnique ? [] : ['two issues share a fingerprint']),
  ];
};

const COMMAND = /^::(error|warning|notice) ([^:]*)::(.*)$/;
const PROPERTIES = new Set(['file', 'line', 'endLine', 'col', 'endColumn', 'title']);

/** The grammar of workflow commands, from GitHub's documentation: `::name key=value,…::text`. */
export const checkGithub: FormatCheck = async (text) => {
  const lines = text.trimEnd().split('\n');
  return lines
    .filter((line) => line.startsWith('::'))
    .flatMap((line) => {
      const match = COMMAND.exec(line);
      if (!match) return [`no workflow command: ${line}`];
      return (match[2] ?? '')
        .split(',')
        .map((property) => property.split('=')[0] ?? '')
        .filter((key) => !PROPERTIES.has(key))
        .map((key) => `unknown property ${key}`);
    });
};

function compile(schema: object): ValidateFunction {
  // The dialect's formats and unknown keywords are not what is tested here.
  return new Ajv({
    strict: false,
    validateFormats: false,
    // One pattern of SARIF's schema is none with the flag that Ajv gives it.
    unicodeRegExp: false,
    allErrors: true,
  }).compile(schema);
}

function violations(validate: ValidateFunction, value: unknown): string[] {
  validate(value);
  return (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`);
}
