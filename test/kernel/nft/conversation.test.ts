/** What the kernel says back: refusals, foreign objects, changes by others. */
import { readEvent, type NftEvent } from '../../../agent/netlink/decode.ts';
import { messages } from '../../../agent/netlink/message.ts';
import {
  commit,
  dumpCounters,
  dumpTable,
  readGenerationId,
} from '../../../agent/netlink/request.ts';
import { dumpLinks, dumpRoutes } from '../../../agent/netlink/route.ts';
import { NetlinkSocket } from '../../../agent/netlink/socket.ts';
import * as k from '../../../agent/netlink/uapi.generated.ts';
import { printCidr } from '../../../compiler/model/ip.ts';
import { chainKey, setKey } from '../../../compiler/nft/key.ts';
import type { NftElement, NftOp, NftRule, NftSet } from '../../../compiler/nft/program.ts';
import { testAddon } from '../../support/addon.ts';
import { until } from '../../support/cli.ts';
import { runIp } from '../../support/netns.ts';
import { inLab, refusalsOf } from './lab.ts';

const origin = 'test';
const rule: NftRule = {
  exprs: [{ kind: 'verdict', verdict: { kind: 'jump', chain: 'nowhere' } }],
  comment: undefined,
  origin,
};
const addresses: NftSet = {
  name: 'addresses',
  key: ['ipv4_addr'],
  interval: false,
  verdictMap: false,
  constant: false,
  comment: undefined,
  origin,
};
const table: NftOp = { op: 'add-table', origin };

inLab('refusals name operations and say where, and nothing is applied', async (t, { socket }) => {
  const result = await commit(socket, [
    table,
    { op: 'add-rule', chain: 'missing', rule, origin },
    { op: 'add-set', set: addresses, origin },
    { op: 'delete-chain', name: 'gone', origin },
  ]);
  t.deepEqual(refusalsOf(result), ['1 add-rule ENOENT', '3 delete-chain ENOENT']);
  // The byte in the message: header 16, nfgenmsg 4, NFTA_RULE_TABLE 12.
  t.deepEqual(result.ok ? [] : result.refusals.map(({ offset }) => offset), [32, 32]);
  t.is(await dumpTable(socket), undefined);
});

inLab('a batch planned on an old generation is refused as a whole', async (t, { socket, nft }) => {
  const genId = await readGenerationId(socket);
  await nft(['add', 'table', 'inet', 'other']);
  t.deepEqual(refusalsOf(await commit(socket, [table], { genId })), ['- batch ERESTART']);
  const now = await readGenerationId(socket);
  t.deepEqual(refusalsOf(await commit(socket, [table], { genId: now })), []);
});

inLab('100,000 elements go in, come back and go out', async (t, { socket }) => {
  const elements = Array.from({ length: 100_000 }, (_, i): NftElement => ({
    key: [BigInt(i)],
    keyEnd: undefined,
    verdict: undefined,
  }));
  const add: NftOp = { op: 'add-elements', set: addresses, elements, origin };
  t.deepEqual(
    refusalsOf(await commit(socket, [table, { op: 'add-set', set: addresses, origin }, add])),
    [],
  );
  const dump = await dumpTable(socket);
  t.is(dump?.elements.get('addresses')?.size, elements.length);
  t.true(elements.every(({ key }) => dump?.elements.get('addresses')?.has(String(key[0]))));
  const remove: NftOp = { op: 'delete-elements', set: addresses, elements, origin };
  t.deepEqual(refusalsOf(await commit(socket, [remove])), []);
  t.is((await dumpTable(socket))?.elements.get('addresses')?.size, 0);
});

inLab('thousands of ranges go in and come back, in whatever order', async (t, { socket }) => {
  const set: NftSet = { ...addresses, interval: true };
  const elements = Array.from({ length: 8_000 }, (_, i): NftElement => {
    const first = BigInt((i * 7919) % 8_000) * 16n;
    return { key: [first], keyEnd: [first + 15n], verdict: undefined };
  });
  const ops: NftOp[] = [
    table,
    { op: 'add-set', set, origin },
    { op: 'add-elements', set, elements, origin },
  ];
  t.deepEqual(refusalsOf(await commit(socket, ops)), []);
  t.is((await dumpTable(socket))?.elements.get('addresses')?.size, elements.length);
  const half = elements.filter((_, i) => i % 2 === 0);
  t.deepEqual(
    refusalsOf(await commit(socket, [{ op: 'delete-elements', set, elements: half, origin }])),
    [],
  );
  const left = (await dumpTable(socket))?.elements.get('addresses');
  t.deepEqual(
    [...(left?.values() ?? [])].map(({ key }) => key[0]),
    elements
      .filter((_, i) => i % 2 === 1)
      .map(({ key }) => BigInt(key[0] ?? 0))
      .toSorted((a, b) => (a < b ? -1 : 1)),
  );
});

inLab('objects we never make are read, and equal nothing of ours', async (t, { socket, nft }) => {
  await nft(
    ['-f', '-'],
    `table inet picket {
      limit l1 { rate 5/second
      }
      set timed { type ipv4_addr; timeout 1h; }
      set marks { type mark; }
      chain nat { type nat hook prerouting priority 0; policy accept; }
      chain closed { type filter hook input priority 0; policy drop; }
      chain plain {
        meta mark set 1
        quota over 1 mbytes drop
        ip saddr 10.0.0.1 counter accept
        accept
      }
    }
    table ip picket { chain legacy { }
    }`,
  );
  const dump = await dumpTable(socket);
  t.deepEqual([...(dump?.chains.keys() ?? [])].toSorted(), ['closed', 'nat', 'plain']);
  t.deepEqual(
    (dump?.chains.get('plain')?.rules ?? []).map(({ exprs }) =>
      exprs.some((e) => e.kind === 'foreign'),
    ),
    [true, true, true, false],
  );
  t.true(['nat', 'closed'].every((name) => Number.isNaN(dump?.chains.get(name)?.base?.priority)));
  t.deepEqual([...(dump?.sets.values() ?? [])].map(setKey).toSorted(), [
    'marks  000',
    'timed  000',
  ]);
  t.is(dump?.counters.size, 0);
  const ours = { name: 'closed', base: { hook: 'input', priority: 0 }, rules: [] } as const;
  const closed = dump?.chains.get('closed');
  t.not(closed && chainKey(closed), chainKey(ours));
});

inLab('counters count, and are read alone', async (t, { socket, netns }) => {
  const hits: NftOp = {
    op: 'add-counter',
    counter: { name: 'hits', comment: undefined, origin },
    origin,
  };
  const base = { hook: 'output', priority: 0 } as const;
  const counting: NftRule = { ...rule, exprs: [{ kind: 'counter', name: 'hits' }] };
  const ops: NftOp[] = [
    table,
    hits,
    { op: 'add-chain', chain: { name: 'out', base, rules: [] }, origin },
    { op: 'add-rule', chain: 'out', rule: counting, origin },
  ];
  t.deepEqual([...(await dumpCounters(socket))], []);
  t.deepEqual(refusalsOf(await commit(socket, ops)), []);
  await runIp(netns, ['link set lo up']);
  const datagram = `require('dgram').createSocket('udp4').send(Buffer.alloc(72), 9, '127.0.0.1', process.exit)`;
  await netns.run(process.execPath, ['-e', datagram]);
  const value = (await dumpCounters(socket)).get('hits');
  t.true((value?.packets ?? 0n) >= 1n);
  t.true((value?.bytes ?? 0n) >= 100n);
});

inLab('changes by others are events with a name on them', async (t, { netns, socket, nft }) => {
  const listener = NetlinkSocket.open(testAddon(), {
    protocol: k.NETLINK_NETFILTER,
    netnsPath: netns.path,
  });
  t.teardown(() => listener.close());
  const events: NftEvent[] = [];
  listener.read(
    [k.NFNLGRP_NFTABLES],
    (bytes) => {
      for (const message of messages(bytes)) {
        const event = readEvent(message);
        if (event !== undefined) events.push(event);
      }
    },
    socket.portId,
  );
  await commit(socket, [table]);
  await nft(['add', 'chain', 'inet', 'picket', 'intruder']);
  // Polled: a reader alone does not keep the event loop alive.
  await until('an event', () => events.at(-1)?.kind === 'generation');
  t.deepEqual(events[0], { kind: 'change', family: k.NFPROTO_INET, table: 'picket' });
  const last = events.at(-1);
  t.is(last?.kind, 'generation');
  if (last?.kind !== 'generation') return;
  t.is(last.generation.processName, 'nft');
  t.is(last.generation.id, await readGenerationId(socket));
  t.true((last.generation.processId ?? 0) > 0);
});

inLab('links and routes are listed', async (t, { netns }) => {
  await runIp(netns, [
    'link add cali1 type veth peer name eth0',
    'link set lo up',
    'link set cali1 up',
    'link set eth0 up',
    'route add 10.1.2.3/32 dev cali1 table 77',
    'route add fd00:1::/64 dev cali1',
  ]);
  const socket = NetlinkSocket.open(testAddon(), {
    protocol: k.NETLINK_ROUTE,
    netnsPath: netns.path,
  });
  t.teardown(() => socket.close());
  const links = await dumpLinks(socket);
  t.deepEqual(links.map(({ name }) => name).toSorted(), ['cali1', 'eth0', 'lo']);
  const cali1 = links.find(({ name }) => name === 'cali1')?.index;
  const routes = [...(await dumpRoutes(socket, 4)), ...(await dumpRoutes(socket, 6))];
  const found = (text: string) => routes.find(({ dst }) => printCidr(dst) === text);
  t.like(found('10.1.2.3/32'), { oif: cali1, table: 77, type: k.RTN_UNICAST });
  t.like(found('fd00:1::/64'), { oif: cali1, table: k.RT_TABLE_MAIN });
});
