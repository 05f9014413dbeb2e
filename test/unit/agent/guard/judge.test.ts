import test from 'ava';
import { hostEndpointStore } from '../../../support/judged-store.ts';
import { toAddress } from '../../../../compiler/model/ip.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../../../compiler/oracle/world.ts';
import { openJudge } from '../../../../agent/guard/judge.ts';
import { toConnection } from '../../../../agent/guard/operator.ts';
import { findDeniedUpstream } from '../../../../agent/guard/upstream.ts';

const NETWORK = {
  links: new Set(['lo', 'eth0']),
  hostRoutes: new Map(),
  addresses: new Map([
    ['lo', new Set(['127.0.0.1'])],
    ['eth0', new Set(['192.0.2.1', '2001:db8::1'])],
  ]),
};

const INTERFACES = [...NETWORK.addresses].map(([name, texts]) => ({
  name,
  addresses: [...texts].flatMap((text) => toAddress(text) ?? []),
  isWorkload: false,
}));

const reach = () => Promise.resolve('eth0');

/** TCP 80 in, and out to nothing. */
function judge(policy: object) {
  return openJudge({
    store: hostEndpointStore('n1', policy),
    node: 'n1',
    oracle: DEFAULT_ORACLE_CONFIG,
    interfaces: INTERFACES,
    reach,
  });
}

const WEB = {
  selector: 'all()',
  types: ['Ingress', 'Egress'],
  ingress: [{ action: 'Allow', protocol: 'TCP', destination: { ports: [80] } }],
};

for (const { name, in: text, out } of [
  { name: 'what a rule allows', in: '192.0.2.9 5000 192.0.2.1 80', out: undefined },
  { name: 'a failsafe port', in: '192.0.2.9 5000 192.0.2.1 22', out: undefined },
  {
    name: 'what no rule allows',
    in: '192.0.2.9 5000 192.0.2.1 2222',
    out: /end of tier default.*gnp\/p/,
  },
  { name: 'IPv6', in: '2001:db8::9 5000 2001:db8::1 2222', out: /end of tier default/ },
  { name: 'from inside', in: '127.0.0.1 5000 127.0.0.1 2222', out: undefined },
  { name: 'between others', in: '192.0.2.9 5000 198.51.100.1 2222', out: undefined },
]) {
  test(`who would be denied: ${name}`, async (t) => {
    const connection = toConnection(text);
    if (connection === undefined) return t.fail();
    const denial = await judge(WEB).denialOf(connection);
    if (out === undefined) t.is(denial, undefined);
    else t.regex(denial?.by ?? '', out);
    t.is(await judge(WEB).denialOfReply(connection), undefined, 'what stands goes on');
  });
}

test('a link-local client is where its zone says, not where a route to it leads', async (t) => {
  const connection = toConnection('fe80::9%eth1 5000 fe80::1%eth1 2222');
  if (connection === undefined) return t.fail();
  const parts = {
    node: 'n1',
    oracle: DEFAULT_ORACLE_CONFIG,
    interfaces: [...INTERFACES, { name: 'eth1', addresses: [LINK_LOCAL], isWorkload: false }],
    reach,
  };
  const [on0, on1] = ['eth0', 'eth1'].map((ifname) =>
    openJudge({ ...parts, store: hostEndpointStore('n1', WEB, ifname) }),
  );
  t.is(await on0?.denialOf(connection), undefined);
  t.regex((await on1?.denialOf(connection))?.by ?? '', /end of tier default/);
});

const LINK_LOCAL = { family: 6, value: 0xfe80n * 2n ** 112n + 1n } as const;

for (const { name, in: url, out } of [
  { name: 'a failsafe port', in: 'https://192.0.2.9:6443', out: 0 },
  { name: 'another port', in: 'https://192.0.2.9:8443', out: 1 },
  { name: 'the default port', in: 'https://192.0.2.9', out: 1 },
  { name: 'IPv6', in: 'https://[2001:db8::9]:8443', out: 1 },
  { name: 'a name without an address', in: 'https://no-such-host.invalid:8443', out: 0 },
]) {
  test(`an API server that is cut off: ${name}`, async (t) => {
    const parts = { judge: judge(WEB), network: NETWORK, reach };
    t.is((await findDeniedUpstream(parts, new URL(url))).length, out);
  });
}
