/**
 * Records as an ExportLogsServiceRequest in the JSON form of OTLP: names in lowerCamelCase, 64-bit integers as text, enums as numbers.
 * Attributes follow the OpenTelemetry semantic conventions where there are some. Refuses to know HTTP.
 * Source: opentelemetry-proto v1.5.0, docs/specification.md "JSON Protobuf Encoding"; semantic conventions 1.30.
 */
import { printCompact } from './print.ts';
import type { FlowRecord, RecordEnd } from './record.ts';

type AnyValue =
  | { readonly stringValue: string }
  | { readonly intValue: string }
  | { readonly arrayValue: { readonly values: readonly AnyValue[] } };

interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

/** SeverityNumber of logs.proto. */
const SEVERITIES = {
  deny: { severityNumber: 13, severityText: 'WARN' },
  unknown: { severityNumber: 13, severityText: 'WARN' },
  log: { severityNumber: 9, severityText: 'INFO' },
  allow: { severityNumber: 9, severityText: 'INFO' },
} as const satisfies Record<FlowRecord['verdict'], object>;

export interface OtlpSource {
  readonly node: string;
  readonly version: string;
}

export function otlpLogs(records: readonly FlowRecord[], { node, version }: OtlpSource): object {
  const resource = attributes({
    'service.name': 'picket',
    'service.version': version,
    'host.name': node,
    'k8s.node.name': node,
  });
  return {
    resourceLogs: [
      {
        resource: { attributes: resource },
        scopeLogs: [
          { scope: { name: 'picket.flow', version }, logRecords: records.map(logRecord) },
        ],
      },
    ],
  };
}

function logRecord(record: FlowRecord): object {
  return {
    timeUnixNano: toNanoseconds(record.lastTs),
    observedTimeUnixNano: toNanoseconds(record.ts),
    ...SEVERITIES[record.verdict],
    body: { stringValue: printCompact(record) },
    attributes: attributes(recordAttributes(record)),
  };
}

type Attributes = Readonly<Record<string, string | number | readonly string[] | undefined>>;

function recordAttributes(record: FlowRecord): Attributes {
  const { policy, implicit, src, dst } = record;
  return {
    'event.name': 'picket.flow',
    'picket.verdict': record.verdict,
    'network.io.direction': { ingress: 'receive', egress: 'transmit', forward: undefined }[
      record.direction ?? 'forward'
    ],
    'network.transport': record.proto,
    ...endAttributes('source', src),
    ...endAttributes('destination', dst),
    'picket.destination.service':
      dst.service === undefined ? undefined : `${dst.service.namespace}/${dst.service.name}`,
    'picket.policy.kind': policy?.kind,
    'picket.policy.namespace': policy?.namespace,
    'picket.policy.name': policy?.name,
    'picket.policy.tier': policy?.tier ?? implicit?.tier,
    'picket.policy.rule': policy?.rule,
    'picket.implicit.reason': implicit?.reason,
    'picket.implicit.selected_by': implicit?.selectedBy,
    'picket.host_endpoint.name': record.hostEndpoint?.name,
    'picket.host_endpoint.stage': record.hostEndpoint?.stage,
    'picket.staged': record.staged.map(({ policy: id, action }) => `${id} ${action}`),
    'picket.count': record.count,
    'picket.suppressed': record.suppressed,
    'picket.rule_id': record.ruleId,
    'picket.record': JSON.stringify(record),
  };
}

function endAttributes(side: 'source' | 'destination', end: RecordEnd): Attributes {
  return {
    [`${side}.address`]: end.ip,
    [`${side}.port`]: end.port,
    [`picket.${side}.kind`]: end.kind,
    [`picket.${side}.namespace`]: end.namespace,
    [`picket.${side}.name`]: end.name,
  };
}

function attributes(values: Attributes): KeyValue[] {
  return Object.entries(values).flatMap(([key, value]): KeyValue[] => {
    if (value === undefined || (typeof value === 'object' && value.length === 0)) return [];
    return [{ key, value: toAnyValue(value) }];
  });
}

function toAnyValue(value: string | number | readonly string[]): AnyValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { intValue: String(value) };
  return { arrayValue: { values: value.map((each) => ({ stringValue: each })) } };
}

function toNanoseconds(isoTime: string): string {
  return `${Date.parse(isoTime)}000000`;
}
