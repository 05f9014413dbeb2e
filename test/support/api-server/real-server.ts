/**
 * A real kube-apiserver with etcd, where their binaries are at hand (KUBEBUILDER_ASSETS names the folder), behind the few operations that
 * kernel tests need. See test/README.md, "A real API server".
 */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { request } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeAuthority } from './certificates.ts';
import type { ManifestObject } from './object-store.ts';
import { TOKEN } from './server.ts';

/** Plural names of what tests make; custom ones are added when their definition is put. */
const PLURALS: Record<string, string> = {
  Namespace: 'namespaces',
  Pod: 'pods',
  ServiceAccount: 'serviceaccounts',
  NetworkPolicy: 'networkpolicies',
  CustomResourceDefinition: 'customresourcedefinitions',
};

const START_MS = 60_000;

export class RealApiServer {
  readonly #assets: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'picket-apiserver-'));
  readonly #authority = makeAuthority();
  readonly #streams: boolean;
  readonly #port: number;
  readonly #etcdPort: number;
  #etcd: ChildProcess | undefined;
  #server: ChildProcess | undefined;

  private constructor(assets: string, streams: boolean, port: number, etcdPort: number) {
    this.#assets = assets;
    this.#streams = streams;
    this.#port = port;
    this.#etcdPort = etcdPort;
    const { cert, key } = this.#authority.issueServer();
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#write('tls.crt', cert);
    this.#write('tls.key', key);
    this.#write('ca.crt', this.#authority.cert);
    this.#write('sa.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    this.#write('sa.pub', publicKey.export({ type: 'spki', format: 'pem' }).toString());
    this.#write('tokens.csv', `${TOKEN},admin,admin,"system:masters"\n`);
  }

  /** `streams`: whether it knows streaming lists (its feature gate WatchList). */
  static async start(assets: string, streams: boolean): Promise<RealApiServer> {
    const server = new RealApiServer(assets, streams, await freePort(), await freePort());
    await server.#startEtcd();
    await server.resume();
    return server;
  }

  /** Only the API server; etcd goes on. */
  async kill(): Promise<void> {
    await end(this.#server);
    this.#server = undefined;
  }

  /** With an etcd that knows nothing: as after a disaster without a backup, versions begin at 1. */
  async lose(): Promise<void> {
    await this.kill();
    await end(this.#etcd);
    rmSync(join(this.#folder, 'etcd'), { recursive: true, force: true });
    await this.#startEtcd();
    await this.resume();
  }

  async resume(): Promise<void> {
    const file = (name: string): string => join(this.#folder, name);
    this.#server = this.#spawn('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPort}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${this.#port}`,
      `--tls-cert-file=${file('tls.crt')}`,
      `--tls-private-key-file=${file('tls.key')}`,
      `--client-ca-file=${file('ca.crt')}`,
      `--token-auth-file=${file('tokens.csv')}`,
      '--service-account-issuer=https://picket.test',
      `--service-account-key-file=${file('sa.pub')}`,
      `--service-account-signing-key-file=${file('sa.key')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=RBAC',
      '--disable-admission-plugins=ServiceAccount',
      `--cert-dir=${file('certs')}`,
      `--feature-gates=WatchList=${this.#streams}`,
    ]);
    await this.#until('/readyz');
  }

  kubeconfig(): string {
    const path = join(this.#folder, 'kubeconfig');
    const caData = Buffer.from(this.#authority.cert).toString('base64');
    const server = `https://127.0.0.1:${this.#port}`;
    const config = {
      'current-context': 'test',
      clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': caData } }],
      users: [{ name: 'u', user: { token: TOKEN } }],
      contexts: [{ name: 'test', context: { cluster: 'c', user: 'u' } }],
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  /** By server-side apply, with `status` where there is one. */
  async put(...objects: readonly ManifestObject[]): Promise<void> {
    for (const object of objects) {
      const { status, ...rest } = object;
      await this.#apply(pathOf(object), rest);
      if (status !== undefined) await this.#apply(`${pathOf(object)}/status`, { ...rest, status });
    }
  }

  async remove(object: ManifestObject): Promise<void> {
    await this.#call('DELETE', pathOf(object));
  }

  async close(): Promise<void> {
    await this.kill();
    await end(this.#etcd);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #startEtcd(): Promise<void> {
    const peer = await freePort();
    const url = `http://127.0.0.1:${this.#etcdPort}`;
    this.#etcd = this.#spawn('etcd', [
      `--data-dir=${join(this.#folder, 'etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
    ]);
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const log = openSync(join(this.#folder, `${program}.log`), 'a');
    return spawn(join(this.#assets, program), args, { stdio: ['ignore', log, log] });
  }

  async #until(path: string): Promise<void> {
    const end = performance.now() + START_MS;
    for (;;) {
      const status = await this.#call('GET', path).catch(() => 0);
      if (status === 200) return;
      if (performance.now() > end)
        throw new Error(`kube-apiserver does not start: see ${this.#folder}`);
      await delay(200);
    }
  }

  async #apply(path: string, body: object): Promise<void> {
    const query = '?fieldManager=test&force=true';
    const status = await this.#call('PATCH', path + query, JSON.stringify(body));
    if (status >= 300) throw new Error(`applying ${path}: status ${status}`);
  }

  async #call(method: string, path: string, body = ''): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const sent = request(
      {
        host: '127.0.0.1',
        port: this.#port,
        path,
        method,
        ca: this.#authority.cert,
        headers: {
          authorization: `Bearer ${TOKEN}`,
          'content-type': 'application/apply-patch+yaml',
        },
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      },
    );
    sent.on('error', reject);
    sent.end(body);
    return promise;
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.#folder, name), text, { mode: 0o600 });
  }
}

function pathOf({ apiVersion, kind, metadata, spec }: ManifestObject): string {
  const { name, namespace } = metadata as { readonly name: string; readonly namespace?: string };
  const root = String(apiVersion).includes('/') ? 'apis' : 'api';
  const place = namespace === undefined ? '' : `namespaces/${namespace}/`;
  if (kind === 'CustomResourceDefinition') {
    const { names } = spec as {
      readonly names: { readonly kind: string; readonly plural: string };
    };
    PLURALS[names.kind] = names.plural;
  }
  return `/${root}/${String(apiVersion)}/${place}${PLURALS[String(kind)] ?? ''}/${name}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
