/** `picket test` as CI runs it: exit codes, the three formats, malformed files. */
import test from 'ava';
import { picket } from '../../../support/command.ts';
import { projectPath } from '../../../support/tools.ts';

const MANIFESTS = projectPath('demo/manifests');
const run = (...args: readonly string[]): string[] => ['test', ...args, '-m', MANIFESTS];

const MIXED = {
  't.yaml': `tests:
  - allow shop/web -> shop/api tcp/8080 by knp/shop/api-from-web
  - allow shop/web -> shop/db tcp/5432
  - deny shop/db -> shop/web tcp/80 by gnp/defualt-deny
  - deny shop/wbe -> shop/db tcp/80
  - deny shop/web -> shop/db tcp/5432 by gnp/default-deny ingress[1]
`,
};

test("the demo's expectations hold", async (t) => {
  const { exitCode, stdout, stderr } = await picket(run(projectPath('demo/expectations.yaml')));
  t.is(exitCode, 0, stdout);
  t.is(stderr, '');
  t.regex(stdout, /^11 as expected, 0 not$/m);
});

test('for people: a line each, and the explanation where it fails', async (t) => {
  const { exitCode, stdout } = await picket(run('{dir}/t.yaml'), MIXED);
  t.is(exitCode, 3);
  const lines = stdout.split('\n').filter((line) => !line.startsWith(' ') && line !== '');
  t.deepEqual(lines, [
    'ok    allow shop/web -> shop/api tcp/8080 by knp/shop/api-from-web',
    'FAIL  allow shop/web -> shop/db tcp/5432',
    'FAIL  deny shop/db -> shop/web tcp/80 by gnp/defualt-deny',
    'ERROR deny shop/wbe -> shop/db tcp/80',
    'FAIL  deny shop/web -> shop/db tcp/5432 by gnp/default-deny ingress[1]',
    '1 as expected, 3 not, 1 could not be asked',
  ]);
  t.regex(
    stdout,
    /\{dir\}\/t\.yaml:3: expected allow, but IPv4 is denied by GlobalNetworkPolicy default-deny ingress\[0\].*global\.yaml:\d+/,
  );
  t.regex(stdout, /\[0\] allow: no match: source\.selector/);
  t.regex(
    stdout,
    /t\.yaml:4: expected by gnp\/defualt-deny \(there is none; did you mean gnp\/default-deny\?\)/,
  );
  t.regex(stdout, /t\.yaml:5: there is no pod shop\/wbe; did you mean shop\/web\?/);
  t.regex(
    stdout,
    /t\.yaml:6: expected by gnp\/default-deny ingress\[1\], but IPv4 is decided by GlobalNetworkPolicy default-deny ingress\[0\]/,
  );
});

test('TAP', async (t) => {
  const { exitCode, stdout } = await picket(run('{dir}/t.yaml', '-f', 'tap'), MIXED);
  t.is(exitCode, 3);
  const lines = stdout.split('\n');
  t.deepEqual(lines.slice(0, 7), [
    'TAP version 14',
    '1..5',
    'ok 1 - allow shop/web -> shop/api tcp/8080 by knp/shop/api-from-web',
    'not ok 2 - allow shop/web -> shop/db tcp/5432',
    '  ---',
    lines[5] ?? '',
    '  severity: fail',
  ]);
  t.deepEqual(
    lines.filter((line) => /^(not )?ok \d/.test(line)).map((line) => line.split(' - ')[0]),
    ['ok 1', 'not ok 2', 'not ok 3', 'not ok 4', 'not ok 5'],
  );
  t.true(lines.includes('  severity: error'));
});

test('JUnit', async (t) => {
  const { exitCode, stdout } = await picket(run('{dir}/t.yaml', '-f', 'junit'), MIXED);
  t.is(exitCode, 3);
  t.regex(
    stdout,
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites name="picket test" tests="5" failures="3" errors="1">/,
  );
  t.regex(
    stdout,
    /<testcase classname="\{dir\}\/t\.yaml" name="allow shop\/web -&gt; shop\/api [^"]*" file="\{dir\}\/t\.yaml" line="2"\/>/,
  );
  t.is(stdout.match(/<failure message="/g)?.length, 3);
  t.is(stdout.match(/<error message="/g)?.length, 1);
  const opened = stdout.match(/<(testsuites?|testcase|failure|error)\b[^>]*[^/]>/g)?.length;
  t.is(opened, stdout.match(/<\/\w+>/g)?.length);
});

test('several files', async (t) => {
  const files = {
    'a.yaml': 'tests: [allow shop/web -> shop/api tcp/8080]\n',
    'b.yaml': 'tests: [deny shop/api -> shop/db tcp/5432]\n',
  };
  const { exitCode, stdout } = await picket(
    run('{dir}/a.yaml', '{dir}/b.yaml', '-f', 'junit'),
    files,
  );
  t.is(exitCode, 3);
  t.regex(stdout, /a\.yaml" tests="1" failures="0"[^]*b\.yaml" tests="1" failures="1"/);
});

const REFUSED = [
  {
    name: 'a malformed file, of which everything is listed',
    args: run('{dir}/good.yaml', '{dir}/bad.yaml'),
    says: /malformed tests, nothing is judged:\n\{dir\}\/bad\.yaml:2: .*\n\{dir\}\/bad\.yaml:3: /,
  },
  {
    name: 'a file that is not there',
    args: run('{dir}/none.yaml'),
    says: /reading \{dir\}\/none\.yaml: ENOENT/,
  },
  { name: 'no file', args: run(), says: /missing required argument 'files'/ },
  {
    name: 'another format',
    args: run('{dir}/good.yaml', '-f', 'xml'),
    says: /Allowed choices are human, tap, junit/,
  },
];

for (const { name, args, says } of REFUSED) {
  test(`refused with exit code 2: ${name}`, async (t) => {
    const files = {
      'good.yaml': 'tests: [allow shop/web -> shop/api tcp/8080]\n',
      'bad.yaml': 'tests:\n  - allow\n  - alow shop/web -> shop/api tcp/8080\n',
    };
    const { exitCode, stdout, stderr } = await picket(args, files);
    t.regex(stderr, says);
    t.is(stdout, '');
    t.is(exitCode, 2);
  });
}

test('as expected, but a manifest is invalid: exit code 4', async (t) => {
  const pod = `apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: shop}
spec: {nodeName: n1}
status: {phase: Running, podIP: ADDRESS}
`;
  const files = {
    't.yaml': 'tests: [deny shop/a -> shop/b tcp/80]\n',
    'm/a.yaml': pod.replace('NAME', 'a').replace('ADDRESS', '10.0.0.1'),
    'm/b.yaml': pod.replace('NAME', 'b').replace('ADDRESS', '10.0.0.2'),
    'm/bad.yaml': `apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: bad}
spec: {ingress: [{action: Dney}]}
`,
  };
  const { exitCode, stdout, stderr } = await picket(
    ['test', '{dir}/t.yaml', '-m', '{dir}/m'],
    files,
  );
  t.is(exitCode, 4, stdout);
  t.regex(stderr, /bad\.yaml:4: error: /);
});
