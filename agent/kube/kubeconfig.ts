/**
 * Where the API server is and who we are. Comes in: a kubeconfig, or the service account that Kubernetes mounts into a pod. Goes out: one
 * cluster and one user, in the shape of @kubernetes/client-node. Refuses what would be insecure or is not supported, by name. Credentials
 * are read when they are used (access.ts), so that they can rotate.
 *
 * Of the library only config_types.js and the two authenticators are loaded, by their paths: its KubeConfig class imports the
 * client of every API, 80 MiB of resident memory (ADR 0015).
 */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { newClusters, newContexts, newUsers } from '@kubernetes/client-node/dist/config_types.js';
import type { Cluster, User } from '@kubernetes/client-node/dist/config_types.js';
import { parse } from 'yaml';
import { AgentError } from '../errors.ts';
import { isJsonObject } from './trim.ts';
import type { JsonObject } from './trim.ts';

export interface Connection {
  /** For messages: the file, or "the service account of this pod". */
  readonly source: string;
  readonly cluster: Cluster;
  readonly user: User;
}

/** Throws AgentError ERR_KUBECONFIG. Relative paths in it are relative to its folder. */
export function readKubeconfig(path: string): Connection {
  try {
    return connectionOf(path, parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw unusable(path, error instanceof Error ? error.message : String(error), error);
  }
}

function connectionOf(path: string, config: unknown): Connection {
  if (!isJsonObject(config)) throw unusable(path, 'it is no kubeconfig');
  const current = config['current-context'];
  const context = newContexts(config['contexts']).find(({ name }) => name === current);
  if (context === undefined)
    throw unusable(path, `there is no context ${shown(current)} (current-context)`);
  const cluster = newClusters(config['clusters']).find(({ name }) => name === context.cluster);
  if (cluster === undefined) throw unusable(path, `there is no cluster ${shown(context.cluster)}`);
  const { users } = config;
  const entries = Array.isArray(users) ? (users as unknown[]).map(withTokenFile(path)) : [];
  const user = newUsers(entries).find(({ name }) => name === context.user) ?? { name: '' };
  if (context.user !== undefined && user.name === '')
    throw unusable(path, `there is no user ${shown(context.user)}`);
  refuseUnknown(path, entryOf(users, user.name, 'user'));
  const checkedCluster = checkCluster(path, absolute(cluster, ['caFile'], path));
  const checkedUser = checkUser(path, absolute(user, ['certFile', 'keyFile'], path));
  const extensions = entryOf(config['clusters'], cluster.name, 'cluster')['extensions'];
  return {
    source: path,
    cluster: checkedCluster,
    user: withExec(path, checkedUser, checkedCluster, extensions),
  };
}

/** What the file says of the one with this name, also what the library leaves out. */
function entryOf(list: unknown, name: string, field: 'cluster' | 'user'): JsonObject {
  const entries: readonly unknown[] = Array.isArray(list) ? list : [];
  const entry = entries.find((each) => isJsonObject(each) && each['name'] === name);
  const content = isJsonObject(entry) ? entry[field] : undefined;
  return isJsonObject(content) ? content : {};
}

/** Fields without which we would be somebody else than the file says. */
const UNSUPPORTED = ['as-uid', 'as-groups', 'as-user-extra'] as const;

function refuseUnknown(path: string, user: JsonObject): void {
  const found = UNSUPPORTED.find((field) => user[field] !== undefined && user[field] !== null);
  if (found !== undefined) throw unusable(path, `${found} is not supported: only "as" is`);
}

/** `tokenFile` of kubectl is unknown to the library, which has the same as an auth provider. It counts more than `token`. */
function withTokenFile(path: string): (entry: unknown) => unknown {
  return (entry) => {
    const user = isJsonObject(entry) ? entry['user'] : undefined;
    if (!isJsonObject(entry) || !isJsonObject(user)) return entry;
    const { tokenFile, token: _, ...rest } = user;
    if (typeof tokenFile !== 'string' || tokenFile === '') return entry;
    return {
      ...entry,
      user: { ...rest, 'auth-provider': tokenFileProvider(beside(path, tokenFile)) },
    };
  };
}

function tokenFileProvider(tokenFile: string): object {
  return { name: 'tokenFile', config: { tokenFile } };
}

function checkCluster(path: string, cluster: Cluster): Cluster {
  if (!URL.canParse(cluster.server)) throw unusable(path, `${shown(cluster.server)} is no URL`);
  if (!cluster.server.startsWith('https://')) {
    throw unusable(
      path,
      `the server ${cluster.server} is not https: policy must not come over an open line`,
    );
  }
  const proxy = cluster.proxyUrl;
  if (proxy !== undefined && !/^https?:\/\//.test(proxy)) {
    throw unusable(path, `proxy-url ${shown(proxy)}: only http and https proxies are supported`);
  }
  return cluster;
}

function checkUser(path: string, user: User): User {
  const provider: unknown = user.authProvider;
  const name = isJsonObject(provider) ? provider['name'] : undefined;
  if (name !== undefined && name !== 'tokenFile') {
    throw unusable(
      path,
      `auth-provider ${shown(name)} is not supported: use an exec plugin (users[].user.exec) instead`,
    );
  }
  return user;
}

/** The library starts the plugin, but leaves these parts of the protocol (KEP-541) to us. */
function withExec(path: string, user: User, cluster: Cluster, extensions: unknown): User {
  const exec: unknown = user.exec;
  if (!isJsonObject(exec)) return user;
  const { command, env, apiVersion } = exec;
  if (typeof command !== 'string' || command === '') throw unusable(path, 'exec has no command');
  if (exec['interactiveMode'] === 'Always') {
    throw unusable(
      path,
      `exec ${shown(command)} wants somebody to talk to (interactiveMode: Always)`,
    );
  }
  const about =
    exec['provideClusterInfo'] === true ? { cluster: execCluster(cluster, extensions) } : {};
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false, ...about } };
  const given: readonly unknown[] = Array.isArray(env) ? env : [];
  const prepared = {
    ...exec,
    command: command.includes('/') ? beside(path, command) : command,
    env: [...given, { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }],
  };
  return { ...user, exec: prepared };
}

const EXEC_EXTENSION = 'client.authentication.k8s.io/exec';

/** Cluster of client.authentication.k8s.io/v1, client-go pkg/apis/clientauthentication/v1/types.go (v0.34). */
function execCluster(cluster: Cluster, extensions: unknown): JsonObject {
  const { server, tlsServerName, skipTLSVerify, caData, caFile, proxyUrl } = cluster;
  const list: readonly unknown[] = Array.isArray(extensions) ? extensions : [];
  const found = list.filter(isJsonObject).find(({ name }) => name === EXEC_EXTENSION);
  return {
    server,
    'tls-server-name': tlsServerName,
    'insecure-skip-tls-verify': skipTLSVerify || undefined,
    'certificate-authority-data': caData ?? (caFile && readFileSync(caFile).toString('base64')),
    'proxy-url': proxyUrl,
    config: found?.['extension'],
  };
}

function absolute<T extends object>(value: T, fields: readonly (keyof T)[], path: string): T {
  const copy = { ...value };
  for (const field of fields) {
    const file = copy[field];
    if (typeof file === 'string' && file !== '')
      Object.assign(copy, { [field]: beside(path, file) });
  }
  return copy;
}

function beside(path: string, file: string): string {
  return isAbsolute(file) ? file : resolve(dirname(path), file);
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Throws AgentError ERR_KUBECONFIG outside of a pod. `folder`: where the service account is mounted. */
export function readInCluster(
  env: Readonly<Record<string, string | undefined>>,
  folder = SERVICE_ACCOUNT,
): Connection {
  const source = 'the service account of this pod';
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host === undefined || host === '') {
    const why =
      'KUBERNETES_SERVICE_HOST is not set: this is no pod (outside of one, use --kubeconfig)';
    throw unusable(source, why);
  }
  const tokenFile = join(folder, 'token');
  const caFile = join(folder, 'ca.crt');
  for (const file of [tokenFile, caFile]) {
    try {
      readFileSync(file);
    } catch (error) {
      throw unusable(source, (error as Error).message, error);
    }
  }
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const cluster = { name: 'in-cluster', server, caFile, skipTLSVerify: false };
  const user = { name: 'in-cluster', authProvider: tokenFileProvider(tokenFile) };
  return { source, cluster: checkCluster(source, cluster), user };
}

function shown(value: unknown): string {
  return value === undefined ? 'without a name' : JSON.stringify(value);
}

function unusable(source: string, why: string, cause?: unknown): AgentError {
  return new AgentError('ERR_KUBECONFIG', `${source}: ${why}`, {}, { cause });
}
