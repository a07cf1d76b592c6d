/** The hash of a certificate that binds a login to it: tls-server-end-point of RFC 5929. */

import { createHash } from 'node:crypto';

/** By the identifier of the signature, as it stands in the certificate; SHA-256 stands for MD5 and SHA-1. */
const HASHES: ReadonlyMap<string, string> = new Map([
  ['2a864886f70d010104', 'sha256'], // md5WithRSAEncryption
  ['2a864886f70d010105', 'sha256'], // sha1WithRSAEncryption
  ['2a864886f70d01010e', 'sha224'],
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2a8648ce3d0401', 'sha256'], // ecdsa-with-SHA1
  ['2a8648ce3d040301', 'sha224'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
]);

const RSA_PSS = '2a864886f70d01010a';
/** RSASSA-PSS names its hash among its parameters. */
const PSS_HASHES: readonly [identifier: string, hash: string][] = [
  ['608648016503040201', 'sha256'],
  ['608648016503040202', 'sha384'],
  ['608648016503040203', 'sha512'],
];

/**
 * @param der the certificate as the server sent it
 * @returns undefined for a kind of signature that has no such hash, such as Ed25519
 */
export function hashOfCertificate(der: Buffer | undefined): Buffer | undefined {
  if (der === undefined) return undefined;
  // Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm { identifier, parameters }, … }
  const certificate = elementAt(der, 0);
  const signed = certificate && elementAt(der, certificate.from);
  const algorithm = signed && elementAt(der, signed.to);
  const identifier = algorithm && elementAt(der, algorithm.from);
  if (identifier === undefined) return undefined;
  const name = der.toString('hex', identifier.from, identifier.to);
  const parameters = der.toString('hex', identifier.to, algorithm?.to);
  const hash = name === RSA_PSS ? pssHash(parameters) : HASHES.get(name);
  return hash === undefined ? undefined : createHash(hash).update(der).digest();
}

function pssHash(parameters: string): string {
  // The default is SHA-1.
  return PSS_HASHES.find(([identifier]) => parameters.includes(identifier))?.[1] ?? 'sha256';
}

/** Where the content of a DER element begins and ends. */
function elementAt(der: Buffer, at: number): { from: number; to: number } | undefined {
  const short = der[at + 1];
  if (short === undefined) return undefined;
  const sizeBytes = short < 0x80 ? 0 : short & 0x7f;
  const from = at + 2 + sizeBytes;
  if (sizeBytes > 4 || from > der.length) return undefined;
  const length = sizeBytes === 0 ? short : der.readUIntBE(at + 2, sizeBytes);
  return from + length <= der.length ? { from, to: from + length } : undefined;
}
