import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import test from 'ava';
import { readInCluster, readKubeconfig } from '../../../../agent/kube/kubeconfig.ts';
import { Mirror } from '../../../support/api-server/mirror.ts';
import { makeAuthority } from '../../../support/api-server/certificates.ts';
import { TOKEN } from '../../../support/api-server/server.ts';
import type { ApiServer } from '../../../support/api-server/server.ts';
import { pod, withServer } from '../../../support/api-server/with-server.ts';

const AUTHORITY = makeAuthority();

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** Rows: how a user is written, and who the server sees. */
const USERS: readonly {
  readonly name: string;
  readonly user: (server: ApiServer) => object;
  readonly out: string;
}[] = [
  { name: 'a token', user: () => ({ token: TOKEN }), out: 'admin' },
  {
    name: 'a token file, relative, with a newline',
    user: (server) => {
      server.write('token', `${TOKEN}\n`);
      return { tokenFile: 'token' };
    },
    out: 'admin',
  },
  {
    name: 'a token file, which counts more than a token',
    user: (server) => {
      server.write('token', TOKEN);
      return { tokenFile: 'token', token: 'outdated' };
    },
    out: 'admin',
  },
  {
    name: 'a client certificate in the file',
    user: () => {
      const { cert, key } = AUTHORITY.issueClient('system:node:n1');
      return { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) };
    },
    out: 'system:node:n1',
  },
  {
    name: 'a client certificate beside the file',
    user: (server) => {
      const { cert, key } = AUTHORITY.issueClient('beside');
      server.write('cert.pem', cert);
      server.write('key.pem', key);
      return { 'client-certificate': 'cert.pem', 'client-key': 'key.pem' };
    },
    out: 'beside',
  },
  {
    name: 'a plugin',
    user: (server) => {
      const credential = { kind: 'ExecCredential', status: { token: TOKEN } };
      const script = server.write(
        'plugin',
        `#!/bin/sh\ncase "$KUBERNETES_EXEC_INFO" in *ExecCredential*) echo '${JSON.stringify(credential)}';; esac\n`,
      );
      chmodSync(script, 0o755);
      return { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin' } };
    },
    out: 'admin',
  },
];

for (const { name, user, out } of USERS) {
  test.serial(`authentication with ${name}`, async (t) => {
    await withServer(
      async (server) => {
        server.put(pod('a'));
        await Mirror.with(server.kubeconfig(user(server)), async (mirror) => {
          await mirror.synced();
          t.deepEqual([...new Set(server.requests.map((request) => request.user))], [out]);
        });
      },
      { authority: AUTHORITY },
    );
  });
}

test.serial('a service account: the token is read again when the server refuses it', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    const token = server.write('token', TOKEN);
    server.write('ca.crt', server.authority.cert);
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: `${server.port}` };
    await Mirror.with(readInCluster(env, dirname(token)), async (mirror) => {
      await mirror.synced();
      writeFileSync(token, 'rotated');
      server.tokens.clear();
      server.tokens.set('rotated', 'picket');
      server.cutConnections();
      server.put(pod('b'));
      await mirror.until('the other pod', () => mirror.objects.has('/Pod/shop/b'));
      t.is(server.requests.at(-1)?.user, 'picket');
    });
  });
});

test.serial('a kubeconfig is read again when the server refuses its token', async (t) => {
  await withServer(async (server) => {
    const path = server.kubeconfig();
    await Mirror.with(path, async (mirror) => {
      await mirror.synced();
      server.tokens.clear();
      server.tokens.set('rotated', 'picket');
      writeFileSync(path, '{');
      server.cutConnections();
      await mirror.until('refused', () => mirror.issues.some((text) => /401/.test(text)));
      writeFileSync(path, readFileSync(server.kubeconfig({ token: 'rotated' })));
      server.put(pod('b'));
      await mirror.until('the pod', () => mirror.objects.has('/Pod/shop/b'));
      t.is(server.requests.at(-1)?.user, 'picket');
    });
  });
});

test.serial('a plugin that wants to know is told of the cluster', async (t) => {
  await withServer(async (server) => {
    const said = server.write('said', '');
    const credential = { kind: 'ExecCredential', status: { token: TOKEN } };
    const path = server.write(
      'plugin',
      `#!/bin/sh\nprintf %s "$KUBERNETES_EXEC_INFO" > ${said}\necho '${JSON.stringify(credential)}'\n`,
    );
    chmodSync(path, 0o755);
    server.write('ca.crt', server.authority.cert);
    const apiVersion = 'client.authentication.k8s.io/v1';
    const exec = { apiVersion, command: path, provideClusterInfo: true, interactiveMode: 'Never' };
    const extension = { audience: 'picket' };
    const kubeconfig = server.kubeconfig(
      { exec },
      {
        'certificate-authority-data': undefined,
        'certificate-authority': 'ca.crt',
        'tls-server-name': 'localhost',
        extensions: [{ name: 'client.authentication.k8s.io/exec', extension }],
      },
    );
    await Mirror.with(kubeconfig, (mirror) => mirror.synced());
    t.deepEqual(JSON.parse(readFileSync(said, 'utf8')), {
      apiVersion,
      kind: 'ExecCredential',
      spec: {
        interactive: false,
        cluster: {
          server: server.url,
          'tls-server-name': 'localhost',
          'certificate-authority-data': base64(server.authority.cert),
          config: extension,
        },
      },
    });
  });
});

test.serial('a plugin is asked again when its token is refused, and may fail', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    const path = server.write('plugin', '#!/bin/sh\necho out of order >&2\nexit 3\n');
    chmodSync(path, 0o755);
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: path };
    await Mirror.with(server.kubeconfig({ exec }), async (mirror) => {
      await mirror.until('an issue', () => mirror.issues.some((text) => /out of order/.test(text)));
      writeFileSync(path, `#!/bin/sh\necho '{"status":{"token":"wrong"}}'\n`);
      await mirror.until('refused', () => mirror.issues.some((text) => /401/.test(text)));
      writeFileSync(path, `#!/bin/sh\necho '{"status":{"token":"${TOKEN}"}}'\n`);
      await mirror.synced();
      t.true(mirror.objects.has('/Pod/shop/a'));
    });
  });
});

const synced = (mirror: Mirror): Promise<void> => mirror.synced();

test.serial('through a proxy, of the kubeconfig or of the environment', async (t) => {
  let tunnels = 0;
  const proxy = createServer();
  proxy.on('connect', (request, socket) => {
    tunnels += 1;
    const { port } = new URL(`https://${request.url}`);
    const onward = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    for (const end of [onward, socket]) end.on('error', () => end.destroy());
  });
  await new Promise<void>((resolve) => {
    proxy.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  try {
    await withServer(async (server) => {
      await Mirror.with(server.kubeconfig(undefined, { 'proxy-url': url }), synced);
      const first = tunnels;
      t.true(first > 0);
      await Mirror.with(server.kubeconfig(), synced, { env: { HTTPS_PROXY: url } });
      const second = tunnels;
      t.true(second > first);
      const env = { HTTPS_PROXY: url, NO_PROXY: '127.0.0.1' };
      await Mirror.with(server.kubeconfig(), synced, { env });
      t.is(tunnels, second);
      const prefix = { HTTPS_PROXY: url, NO_PROXY: 'example.org, 127.0.0.0/8' };
      await Mirror.with(server.kubeconfig(), synced, { env: prefix });
      t.is(tunnels, second);
    });
  } finally {
    proxy.close();
    proxy.closeAllConnections();
  }
});

test.serial('a server with a certificate of somebody else is not believed', async (t) => {
  await withServer(async (server) => {
    server.put(pod('a'));
    const other = { 'certificate-authority-data': base64(makeAuthority('other').cert) };
    await Mirror.with(server.kubeconfig(undefined, other), async (mirror) => {
      await mirror.until('an issue', () => mirror.issues.some((text) => /certificate/.test(text)));
      t.is(server.requests.length, 0);
      t.false(mirror.isSynced);
    });
    const named = { 'tls-server-name': 'localhost' };
    await Mirror.with(server.kubeconfig(undefined, named), (mirror) => mirror.synced());
    const insecure = { 'insecure-skip-tls-verify': true, 'certificate-authority-data': undefined };
    await Mirror.with(server.kubeconfig(undefined, insecure), (mirror) => mirror.synced());
  });
});

/** Rows: what is written over a good kubeconfig, and what the refusal says. */
const REFUSED: readonly { readonly name: string; readonly in: object; readonly out: RegExp }[] = [
  { name: 'no context', in: { 'current-context': 'x' }, out: /no context "x" \(current-context\)/ },
  { name: 'no cluster', in: { clusters: [] }, out: /there is no cluster "c"/ },
  { name: 'no user', in: { users: [] }, out: /there is no user "u"/ },
  {
    name: 'plain http',
    in: { clusters: [{ name: 'c', cluster: { server: 'http://10.0.0.1' } }] },
    out: /http:\/\/10\.0\.0\.1 is not https/,
  },
  {
    name: 'a socks proxy',
    in: { clusters: [{ name: 'c', cluster: { server: 'https://h', 'proxy-url': 'socks5://p' } }] },
    out: /only http and https proxies/,
  },
  {
    name: 'an auth provider',
    in: { users: [{ name: 'u', user: { 'auth-provider': { name: 'oidc', config: {} } } }] },
    out: /auth-provider "oidc" is not supported: use an exec plugin/,
  },
  {
    name: 'a plugin that asks questions',
    in: { users: [{ name: 'u', user: { exec: { command: 'p', interactiveMode: 'Always' } } }] },
    out: /exec "p" wants somebody to talk to \(interactiveMode: Always\)/,
  },
  {
    name: 'groups of somebody else',
    in: { users: [{ name: 'u', user: { token: 't', as: 'x', 'as-groups': ['g'] } }] },
    out: /as-groups is not supported: only "as" is/,
  },
  {
    name: 'a plugin without command',
    in: { users: [{ name: 'u', user: { exec: {} } }] },
    out: /exec has no command/,
  },
];

test.serial('what cannot be used is refused by name', async (t) => {
  await withServer(async (server) => {
    const good = JSON.parse(readFileSync(server.kubeconfig(), 'utf8')) as object;
    for (const { name, in: over, out } of REFUSED) {
      const path = server.write('bad', JSON.stringify({ ...good, ...over }));
      const error = t.throws(() => readKubeconfig(path), { message: out }, name);
      t.true(error?.message.startsWith(path), name);
    }
    const text = server.write('text', 'just text');
    t.throws(() => readKubeconfig(text), { message: /it is no kubeconfig/ });
    t.throws(() => readKubeconfig('/nowhere/config'), { message: /\/nowhere\/config: ENOENT/ });
    t.throws(() => readInCluster({}), { message: /KUBERNETES_SERVICE_HOST is not set/ });
    const folder = join(dirname(text), 'empty');
    mkdirSync(folder);
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1' };
    t.throws(() => readInCluster(env, folder), { message: /ENOENT.*token/ });
  });
});
