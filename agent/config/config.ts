/**
 * The configuration: defaults, then what the cluster says, then one YAML file, then the environment, then flags; each beats what comes before it. Comes in: text and
 * values. Goes out: every key with a checked value and where it comes from, or everything that is wrong. Strict: what is not understood
 * is an error, because a setting that is silently ignored is worse than none.
 */
import { LineCounter, parseAllDocuments } from 'yaml';
import { printPath } from '../../compiler/model/issue.ts';
import type { Path } from '../../compiler/model/issue.ts';
import { nearest, suggest } from '../../compiler/model/parse/nearest.ts';
import { YAML_OPTIONS, inspectDocument } from '../watch/yaml-document.ts';
import { offsetOf } from '../watch/yaml-offset.ts';
import { CONFIG_NAMES, DEFAULT_CONFIG, rowOf, variableOf } from './keys.ts';
import type { Config, ConfigName } from './keys.ts';

/** `picket.yaml:3: denyAction: "Rejct" is not right: …`. */
export interface ConfigIssue {
  /** File, `environment` or `command line`. */
  readonly source: string;
  /** 1-based; files only. */
  readonly line: number | undefined;
  /** Key, with the index of a list's entry; variable or flag where it comes from there. */
  readonly path: string;
  readonly got: unknown;
  /** What is wrong and what would be right. */
  readonly message: string;
}

/** What the command line gives for a key: switches are true or absent, everything else is text. */
type Flag<T> = T extends boolean ? boolean : string;

export interface ConfigInput {
  /** Weaker than all others: values that the cluster gives all its nodes. */
  readonly defaults?: {
    readonly source: string;
    readonly values: ReadonlyMap<ConfigName, unknown>;
  };
  readonly file: { readonly source: string; readonly text: string } | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `undefined` = not given. */
  readonly flags: { readonly [K in ConfigName]?: Flag<Config[K]> | undefined };
}

export interface ResolvedConfig {
  /** Wrong values are left out, so it is only to be used when there are no issues. */
  readonly config: Config;
  /** Of every key that is not at its default by omission: `picket.yaml:3`, `PICKET_NODE`, `--node`. */
  readonly sources: ReadonlyMap<ConfigName, string>;
  readonly issues: readonly ConfigIssue[];
}

export function resolveConfig({ defaults, file, env, flags }: ConfigInput): ResolvedConfig {
  const state = new Resolving();
  const source = defaults?.source ?? '';
  for (const [name, value] of defaults?.values ?? []) {
    state.set(name, value, { source, from: source, path: name, lineOf: NO_LINE });
  }
  if (file !== undefined) readFile(file.source, file.text, state);
  readEnvironment(env, state);
  for (const name of CONFIG_NAMES) {
    const value = flags[name];
    const flag = rowOf(name).flag ?? name;
    if (value === undefined) continue;
    state.set(name, value, { source: 'command line', from: flag, path: flag, lineOf: NO_LINE });
  }
  const config = { ...DEFAULT_CONFIG, ...Object.fromEntries(state.values) } as Config;
  return { config, sources: state.sources, issues: state.issues };
}

export function printConfigIssue({ source, line, path, message }: ConfigIssue): string {
  const place = line === undefined ? source : `${source}:${line}`;
  return `${place}: ${path === '' ? '' : `${path}: `}${message}`;
}

interface Place {
  readonly source: string;
  /** As `sources` shows it. */
  readonly from: string;
  /** What stands before the message. */
  readonly path: string;
  lineOf(inner: Path): number | undefined;
}

const NO_LINE = (): undefined => undefined;

class Resolving {
  readonly values = new Map<ConfigName, unknown>();
  readonly sources = new Map<ConfigName, string>();
  readonly issues: ConfigIssue[] = [];

  set(name: ConfigName, value: unknown, place: Place): void {
    const read = rowOf(name).type.read(value);
    if ('value' in read) {
      this.values.set(name, read.value);
      this.sources.set(name, place.from);
      return;
    }
    const { path, got, message } = read.wrong;
    const line = place.lineOf(path);
    const where = `${place.path}${printPath(path)}`;
    this.issues.push({ source: place.source, line, path: where, got, message });
  }
}

const MAX_ALIASES = 100;

function readFile(source: string, text: string, state: Resolving): void {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => Math.max(lines.linePos(offset).line, 1);
  const report = (line: number | undefined, path: string, got: unknown, message: string): void => {
    state.issues.push({ source, line, path, got, message });
  };
  try {
    const parsed = parseAllDocuments(text, { ...YAML_OPTIONS, lineCounter: lines });
    const documents = 'empty' in parsed ? [] : parsed;
    const syntax = documents.flatMap(inspectDocument);
    for (const { offset, message } of syntax) report(lineAt(offset), '', undefined, message);
    const [document, second] = documents;
    if (syntax.length > 0 || document === undefined) return;
    if (second !== undefined) {
      report(lineAt(second.range[0]), '', undefined, 'a second document; write one');
    }
    const root: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    const lineOf = (path: Path): number => lineAt(offsetOf(document, path));
    readKeys(source, root, lineOf, state);
  } catch (error) {
    // The parser recurses and refuses too many aliases; what it throws at is no configuration.
    report(undefined, '', undefined, `the file cannot be parsed: ${String(error)}`);
  }
}

function readKeys(
  source: string,
  root: unknown,
  lineOf: (path: Path) => number,
  state: Resolving,
): void {
  if (root === null || root === undefined) return;
  if (typeof root !== 'object' || Array.isArray(root)) {
    const message = 'expected a mapping of keys to values, like "denyAction: Reject"';
    state.issues.push({ source, line: lineOf([]), path: '', got: root, message });
    return;
  }
  for (const [name, value] of Object.entries(root)) {
    const line = lineOf([name]);
    if (isName(name)) {
      const inner = (path: Path): number => lineOf([name, ...path]);
      state.set(name, value, { source, from: `${source}:${line}`, path: name, lineOf: inner });
    } else {
      const message = `unknown key${suggest(name, CONFIG_NAMES)}`;
      state.issues.push({ source, line, path: name, got: value, message });
    }
  }
}

function isName(name: string): name is ConfigName {
  return (CONFIG_NAMES as readonly string[]).includes(name);
}

/** Kubernetes gives every container such variables, `NAME=value`, for a Service that is called like us. */
const SERVICE_LINK =
  /^PICKET_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_\d+_(TCP|UDP|SCTP).*|PORT(?==(tcp|udp|sctp):\/\/))=/;

const PREFIX = 'PICKET_';

function withoutPrefix(variable: string): string {
  return variable.slice(PREFIX.length);
}

/** A variable that is nearly one of ours is a slip; one that is like none of them belongs to somebody else. */
function readEnvironment(env: ConfigInput['env'], state: Resolving): void {
  const names = new Map(CONFIG_NAMES.map((name) => [variableOf(name), name]));
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || text === undefined) continue;
    const name = names.get(variable);
    if (name !== undefined) {
      const place = { source: 'environment', from: variable, path: variable, lineOf: NO_LINE };
      state.set(name, rowOf(name).type.fromText(text), place);
      continue;
    }
    const meant = nearest(withoutPrefix(variable), [...names.keys()].map(withoutPrefix));
    if (meant === undefined || SERVICE_LINK.test(`${variable}=${text}`)) continue;
    const message = `unknown variable; did you mean "${PREFIX}${meant}"?`;
    state.issues.push({
      source: 'environment',
      line: undefined,
      path: variable,
      got: text,
      message,
    });
  }
}
