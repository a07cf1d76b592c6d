/** What stands in the place of every secret. */
export const MASK = '***';

const SECRET_NAME = /passw|pwd|secret|token|api_?key|scram/i;

function decodeLoosely(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function maskParameter(parameter: string): string {
  const [name = '', ...value] = parameter.split('=');
  // Without "=" this is most likely the tail of a password that was not percent-encoded.
  if (value.length === 0) return parameter === '' ? '' : MASK;
  return SECRET_NAME.test(decodeLoosely(name)) ? `${name}=${MASK}` : parameter;
}

/**
 * Hides the password of a connection URL or of a libpq keyword string, also a malformed one:
 * where it is unclear what belongs to the password, too much is hidden rather than too little.
 *
 * @example maskUrl('postgres://app:secret@db/shop?sslmode=require')
 * // 'postgres://app:***@db/shop?sslmode=require'
 */
export function maskUrl(text: string): string {
  const scheme = /^\s*[a-z][\w+.-]*:\/\//i.exec(text)?.[0] ?? '';
  // Up to the last "@": a password that was not percent-encoded may hold every character.
  const userMasked = scheme + text.slice(scheme.length).replace(/^([^:]*):[\s\S]*@/, `$1:${MASK}@`);
  const queryAt = userMasked.indexOf('?');
  if (queryAt >= 0) {
    const parameters = userMasked.slice(queryAt + 1).split('&');
    return `${userMasked.slice(0, queryAt)}?${parameters.map(maskParameter).join('&')}`;
  }
  return userMasked.replace(
    /([\w]*(?:passw|pwd|secret|token|scram)\w*\s*=\s*)('(?:[^'\\]|\\[\s\S])*'?|(?:\\[\s\S]|\S)*)/gi,
    `$1${MASK}`,
  );
}

/** Hides the password of every URL that stands somewhere in a text. */
export function maskUrlsIn(text: string): string {
  return text.replace(/[a-z][\w+.-]*:\/\/[^\s'"`]+/gi, (url) => maskUrl(url));
}
