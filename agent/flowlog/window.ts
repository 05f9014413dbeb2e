/**
 * Logged packets, gathered for one interval: the same rule, addresses, protocol and destination port are one flow, whatever the source
 * port. Packets in, flows with count, first and last time out. Bounded: what does not fit is counted. Refuses to know: what a rule id
 * means, whose the addresses are, the clock.
 */
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { NflogView } from '../netlink/nflog.ts';
import { ADDRESSES_BYTES, parsePacket } from './packet-parse.ts';
import type { ParsedPacket } from './packet-parse.ts';

export interface Flow {
  /** As the kernel logged it. */
  readonly ruleId: string;
  readonly family: Family | undefined;
  readonly source: Address | undefined;
  readonly destination: Address | undefined;
  readonly protocol: number | undefined;
  /** Of the first packet. */
  readonly sport: number | undefined;
  readonly dport: number | undefined;
  readonly icmpType: number | undefined;
  readonly icmpCode: number | undefined;
  readonly isFragment: boolean;
  /** Headers of the first packet were cut or contradictory. */
  readonly isPartial: boolean;
  /** NF_INET_* and interface indexes of the first packet; `undefined` = none. */
  readonly hook: number | undefined;
  readonly inputIndex: number | undefined;
  readonly outputIndex: number | undefined;
  /** Milliseconds since the epoch. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Packets. */
  readonly count: number;
}

/** A flow that still grows. */
interface GrowingFlow extends Flow {
  lastMs: number;
  count: number;
}

/** Of one rule; its flows share the one string that is its long id. */
interface RuleFlows {
  readonly ruleId: string;
  /** By what else makes a flow. */
  readonly byKey: Map<string, GrowingFlow>;
}

export interface GatheredFlows {
  /** In order of their first packets. */
  readonly flows: readonly Flow[];
  /** Packets of flows for which there was no room. */
  readonly dropped: number;
}

/** A time stamp this far from our own clock is not believed: the packet's clock was set, or the bytes lie. */
const MAX_SKEW_MS = 60_000;

export class FlowWindow {
  readonly #maxFlows: number;
  #rules = new Map<string, RuleFlows>();
  #lastRule = noRule();
  #flows: GrowingFlow[] = [];
  #dropped = 0;

  constructor(maxFlows: number) {
    this.#maxFlows = maxFlows;
  }

  get size(): number {
    return this.#flows.length;
  }

  /** `nowMs`: for packets without a time stamp. */
  add(view: NflogView, nowMs: number): void {
    const { bytes, prefixAt, prefixEnd, payloadAt, payloadEnd } = view;
    const packet = parsePacket(bytes, payloadAt, payloadEnd);
    const rule = this.#ruleAt(bytes, prefixAt, prefixEnd);
    const key = flowKey(bytes, packet);
    const atMs = Math.abs(view.timestampMs - nowMs) < MAX_SKEW_MS ? view.timestampMs : nowMs;
    const flow = rule.byKey.get(key);
    if (flow !== undefined) {
      flow.count++;
      if (atMs > flow.lastMs) flow.lastMs = atMs;
    } else if (this.#flows.length < this.#maxFlows) {
      this.#start(rule, key, view, packet, atMs);
    } else {
      this.#dropped++;
    }
  }

  /** Hands over what was gathered and starts anew. */
  take(): GatheredFlows {
    const taken = { flows: this.#flows, dropped: this.#dropped };
    this.#rules = new Map();
    this.#lastRule = noRule();
    this.#flows = [];
    this.#dropped = 0;
    return taken;
  }

  /** The one of the packet before is tried first: making a string costs more than comparing bytes. */
  #ruleAt(bytes: Buffer, from: number, to: number): RuleFlows {
    if (isText(this.#lastRule.ruleId, bytes, from, to)) return this.#lastRule;
    const ruleId = latin1(bytes, from, to);
    this.#lastRule = this.#rules.get(ruleId) ?? { ruleId, byKey: new Map() };
    return this.#lastRule;
  }

  #start(rule: RuleFlows, key: string, view: NflogView, packet: ParsedPacket, atMs: number): void {
    const flow = startFlow(rule.ruleId, view, packet, atMs);
    if (rule.byKey.size === 0) this.#rules.set(rule.ruleId, rule);
    rule.byKey.set(key, flow);
    this.#flows.push(flow);
  }
}

function noRule(): RuleFlows {
  return { ruleId: '', byKey: new Map() };
}

/** From the end, where ids differ. */
function isText(text: string, bytes: Uint8Array, from: number, to: number): boolean {
  if (text.length !== to - from) return false;
  for (let i = text.length - 1; i >= 0; i--) {
    if (text.charCodeAt(i) !== bytes[from + i]) return false;
  }
  return true;
}

/** One byte a character, and short: there is one for each flow, and one is made for each packet. */
function flowKey(bytes: Buffer, packet: ParsedPacket): string {
  const { family, addressesAt, protocol, dport, icmpType, icmpCode } = packet;
  if (family === undefined) return '';
  const detail = icmpType < 0 ? dport : (icmpType << 8) | icmpCode;
  const known = family | (protocol < 0 ? 0 : 8) | (detail < 0 ? 0 : 16);
  const rest = String.fromCharCode(known, protocol & 0xff, (detail >> 8) & 0xff, detail & 0xff);
  if (addressesAt < 0) return rest;
  return rest + latin1(bytes, addressesAt, addressesAt + ADDRESSES_BYTES[family]);
}

function startFlow(
  ruleId: string,
  view: NflogView,
  packet: ParsedPacket,
  atMs: number,
): GrowingFlow {
  const { bytes } = view;
  const { family, addressesAt } = packet;
  const lenBytes = family === undefined ? 0 : ADDRESSES_BYTES[family] / 2;
  const addressAt = (at: number): Address | undefined =>
    family === undefined || addressesAt < 0 ? undefined : readAddress(bytes, at, family);
  return {
    ruleId,
    family,
    source: addressAt(addressesAt),
    destination: addressAt(addressesAt + lenBytes),
    protocol: known(packet.protocol),
    sport: known(packet.sport),
    dport: known(packet.dport),
    icmpType: known(packet.icmpType),
    icmpCode: known(packet.icmpCode),
    isFragment: packet.isFragment,
    isPartial: packet.isPartial,
    hook: known(view.hook),
    inputIndex: view.inputIndex || undefined,
    outputIndex: view.outputIndex || undefined,
    firstMs: atMs,
    lastMs: atMs,
    count: 1,
  };
}

function readAddress(bytes: Buffer, at: number, family: Family): Address {
  const value =
    family === 4
      ? BigInt(bytes.readUInt32BE(at))
      : (bytes.readBigUInt64BE(at) << 64n) | bytes.readBigUInt64BE(at + 8);
  return { family, value };
}

function known(value: number): number | undefined {
  return value < 0 ? undefined : value;
}

/** One character for each byte: cheap, and equal only for equal bytes. */
function latin1(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('latin1', from, to);
}
