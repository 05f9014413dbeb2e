/**
 * Certificates for tests, without the openssl command. Comes in: names; goes out: a certificate authority that issues server and
 * client certificates, as PEM. X.509 v3 in DER (RFC 5280), ECDSA P-256 with SHA-256 (RFC 5758). Not for anything but tests.
 */
import { X509Certificate, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** PEM texts. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  readonly cert: string;
  /** For 127.0.0.1, ::1 and localhost. */
  issueServer(): Identity;
  /** Common name = user, as Kubernetes reads it. */
  issueClient(user: string): Identity;
}

export function makeAuthority(name = 'picket test CA'): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { name, privateKey };
  const cert = makeCertificate(issuer, name, publicKey, [basicConstraints(true), keyUsage(0x06)]);
  const issue = (subject: string, extensions: readonly Uint8Array[]): Identity => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      cert: makeCertificate(issuer, subject, pair.publicKey, [
        basicConstraints(false),
        keyUsage(0x80),
        ...extensions,
      ]),
      key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
  };
  return {
    cert,
    issueServer: () => issue('kube-apiserver', [extendedUsage('1.3.6.1.5.5.7.3.1'), altNames()]),
    issueClient: (user) => issue(user, [extendedUsage('1.3.6.1.5.5.7.3.2')]),
  };
}

interface Issuer {
  readonly name: string;
  readonly privateKey: KeyObject;
}

const HOUR_MS = 3_600_000;

function makeCertificate(
  issuer: Issuer,
  subject: string,
  publicKey: KeyObject,
  extensions: readonly Uint8Array[],
): string {
  const serial = randomBytes(8);
  serial[0] = 0x01;
  const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
  const now = Date.now();
  const body = sequence(
    der(0xa0, der(0x02, Uint8Array.of(2))),
    der(0x02, serial),
    ecdsaWithSha256,
    commonName(issuer.name),
    sequence(utcTime(now - HOUR_MS), utcTime(now + 24 * HOUR_MS)),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  );
  const signature = bitString(sign('sha256', body, issuer.privateKey));
  return new X509Certificate(sequence(body, ecdsaWithSha256, signature)).toString();
}

function basicConstraints(isAuthority: boolean): Uint8Array {
  const value = isAuthority ? [der(0x01, Uint8Array.of(0xff))] : [];
  return extension('2.5.29.19', true, sequence(...value));
}

/** Bits from the left: digitalSignature 0x80, keyCertSign 0x04, cRLSign 0x02. */
function keyUsage(bits: number): Uint8Array {
  return extension('2.5.29.15', true, bitString(Uint8Array.of(bits)));
}

function extendedUsage(purpose: string): Uint8Array {
  return extension('2.5.29.37', false, sequence(oid(purpose)));
}

function altNames(): Uint8Array {
  const loopback6 = new Uint8Array(16);
  loopback6[15] = 1;
  const names = [
    der(0x82, Buffer.from('localhost')),
    der(0x87, Uint8Array.of(127, 0, 0, 1)),
    der(0x87, loopback6),
  ];
  return extension('2.5.29.17', false, sequence(...names));
}

function extension(id: string, isCritical: boolean, value: Uint8Array): Uint8Array {
  const critical = isCritical ? [der(0x01, Uint8Array.of(0xff))] : [];
  return sequence(oid(id), ...critical, der(0x04, value));
}

function commonName(name: string): Uint8Array {
  return sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(name)))));
}

function utcTime(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function bitString(bytes: Uint8Array): Uint8Array {
  return der(0x03, Buffer.concat([Uint8Array.of(0), bytes]));
}

function oid(text: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return der(0x06, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return der(0x30, Buffer.concat(parts));
}

function der(tag: number, content: Uint8Array): Uint8Array {
  const size = content.length;
  const length =
    size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Uint8Array.from([tag, ...length]), content]);
}
