/** The bytes as they are, and with the line ends that another checkout would have. */
export function withLineEnds(bytes: Buffer): Buffer[] {
  const text = bytes.toString('latin1');
  const lf = text.replaceAll('\r\n', '\n');
  const variants = [lf, lf.replaceAll('\n', '\r\n')].filter((variant) => variant !== text);
  return [bytes, ...variants.map((variant) => Buffer.from(variant, 'latin1'))];
}
