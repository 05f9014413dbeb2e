/**
 * What everybody's tables do to packets, as far as it takes to say who drops: chains, where they are hooked, whether a rule of theirs
 * drops or rejects, and which chains they lead to. Reads only. Refuses to know: matches, and whose table is whose.
 */
import { AgentError, syscallError } from '../errors.ts';
import { Slice, Writer, attrs, cstr } from './codec.ts';
import type { Codec, ValueOf } from './codec.ts';
import { nftType } from './encode.ts';
import {
  beginMessage,
  endMessage,
  messages,
  readAck,
  readNfgenmsg,
  writeNfgenmsg,
} from './message.ts';
import type { Exchanger } from './request.ts';
import * as schema from './schema/nftables.ts';
import * as k from './uapi.generated.ts';

export interface SurveyedChain {
  /** `inet`, `ip`, `ip6`, `bridge`, `arp`, `netdev`. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Where packets enter it; `undefined` = only from other chains. */
  readonly base: SurveyedHook | undefined;
  /** One of its own rules drops or rejects some packets. */
  readonly drops: boolean;
  /** Chains of the same table that its rules lead to, directly or by a verdict map. */
  readonly leadsTo: readonly string[];
}

export interface SurveyedHook {
  /** NF_INET_* by the name that nft uses. */
  readonly hook: string;
  readonly priority: number;
  /** Drop what no rule of it decides. */
  readonly dropsByDefault: boolean;
}

const FAMILIES: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};

/** NF_INET_*, for the families that have them: inet, ip, ip6, bridge. */
const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'];

const TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 8;
const EINTR = 4;
const ENOENT = 2;

/** nft_target_attributes of nft_compat, as iptables-nft makes them. Source: linux include/uapi/linux/netfilter/nf_tables_compat.h. */
const compatTarget = attrs({ name: [1, cstr] });

/** What an expression, or a set of them, does. */
interface Effect {
  drops: boolean;
  readonly leadsTo: Set<string>;
}

/** Throws AgentError. */
export async function surveyRuleset(socket: Exchanger): Promise<readonly SurveyedChain[]> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const survey = await trySurvey(socket);
    if (survey !== undefined) return survey;
  }
  const detail = { errno: EINTR };
  throw new AgentError(
    'ERR_NETLINK_IO',
    'list the tables of others: changed at each attempt',
    detail,
  );
}

async function trySurvey(socket: Exchanger): Promise<readonly SurveyedChain[] | undefined> {
  const found: { family: number; chain: ValueOf<typeof schema.chain> }[] = [];
  const effects = new Map<string, Effect>();
  const maps = await surveyMaps(socket);
  const chains = await dump(socket, 0, k.NFT_MSG_GETCHAIN, schema.chain, {}, (family, slice) => {
    found.push({ family, chain: schema.chain.read(slice) });
  });
  const rules = await dump(socket, 0, k.NFT_MSG_GETRULE, schema.rule, {}, (family, slice) => {
    const { table = '', chain = '', expressions = [] } = schema.rule.read(slice);
    const effect = effectOf(effects, keyOf(family, table, chain));
    for (const expression of expressions) {
      note(effect, expression, (set) => maps?.get(keyOf(family, table, set)));
    }
  });
  if (maps === undefined || !chains || !rules) return undefined;
  return found.map(({ family, chain: { table = '', name = '', hook, policy } }) => {
    const effect = effects.get(keyOf(family, table, name));
    const base = hook && {
      hook: HOOKS[hook.hooknum ?? -1] ?? `hook ${hook.hooknum}`,
      priority: hook.priority ?? 0,
      dropsByDefault: policy === k.NF_DROP,
    };
    const { drops = false, leadsTo = [] } = effect ?? {};
    return {
      family: FAMILIES[family] ?? String(family),
      table,
      name,
      base,
      drops,
      leadsTo: [...leadsTo],
    };
  });
}

/** Verdict maps by table and name; `undefined` = changed meanwhile. */
async function surveyMaps(socket: Exchanger): Promise<ReadonlyMap<string, Effect> | undefined> {
  const maps: { family: number; table: string; set: string }[] = [];
  const isComplete = await dump(socket, 0, k.NFT_MSG_GETSET, schema.set, {}, (family, slice) => {
    const { table = '', name: set = '', dataType } = schema.set.read(slice);
    if (dataType === k.NFT_DATA_VERDICT) maps.push({ family, table, set });
  });
  if (!isComplete) return undefined;
  const effects = new Map<string, Effect>();
  for (const { family, table, set } of maps) {
    const effect = effectOf(effects, keyOf(family, table, set));
    const request = { table, set };
    const isWhole = await dump(
      socket,
      family,
      k.NFT_MSG_GETSETELEM,
      schema.setElemList,
      request,
      (_, slice) => {
        for (const { data } of schema.setElemList.read(slice).elements ?? []) {
          noteVerdict(effect, data?.verdict);
        }
      },
    );
    if (!isWhole) return undefined;
  }
  return effects;
}

function note(
  effect: Effect,
  { name, data = new Uint8Array() }: ValueOf<typeof schema.expr>,
  mapNamed: (set: string) => Effect | undefined,
): void {
  const slice = new Slice(data);
  if (name === 'reject') effect.drops = true;
  if (name === 'immediate')
    noteVerdict(effect, schema.EXPRESSIONS.immediate.read(slice).data?.verdict);
  if (name === 'target' && compatTarget.read(slice).name === 'REJECT') effect.drops = true;
  if (name !== 'lookup') return;
  const { set = '', dreg } = schema.EXPRESSIONS.lookup.read(slice);
  const map = dreg === k.NFT_REG_VERDICT ? mapNamed(set) : undefined;
  if (map === undefined) return;
  effect.drops ||= map.drops;
  for (const chain of map.leadsTo) effect.leadsTo.add(chain);
}

function noteVerdict(effect: Effect, verdict: ValueOf<typeof schema.verdict> | undefined): void {
  if (verdict?.code === k.NF_DROP) effect.drops = true;
  if (verdict?.chain !== undefined) effect.leadsTo.add(verdict.chain);
}

function effectOf(effects: Map<string, Effect>, key: string): Effect {
  const effect = effects.get(key) ?? { drops: false, leadsTo: new Set() };
  effects.set(key, effect);
  return effect;
}

/** Any name is possible: no separator is safe. */
function keyOf(family: number, table: string, name: string): string {
  return JSON.stringify([family, table, name]);
}

/** False = changed or vanished meanwhile. Family 0 = all. */
async function dump<T>(
  socket: Exchanger,
  family: number,
  message: number,
  codec: Codec<T>,
  request: T,
  visit: (family: number, attrs: Slice) => void,
): Promise<boolean> {
  const writer = new Writer(256);
  const header = { type: nftType(message), flags: k.NLM_F_REQUEST | k.NLM_F_DUMP, seq: 1 };
  const at = beginMessage(writer, header);
  writeNfgenmsg(writer, family, 0);
  codec.write(writer, request);
  endMessage(writer, at);
  const answer = await socket.exchange(writer.finish(), 'dump', 1, TIMEOUT_MS);
  for (const received of messages(answer)) {
    if ((received.flags & k.NLM_F_DUMP_INTR) !== 0) return false;
    const errno = readAck(received)?.errno ?? 0;
    if (errno === ENOENT) return false;
    if (errno !== 0) throw syscallError('list the tables of others', errno);
    if (received.type >>> 8 !== k.NFNL_SUBSYS_NFTABLES) continue;
    const { family: of, attrs: slice } = readNfgenmsg(received.body);
    visit(of, slice);
  }
  return true;
}
