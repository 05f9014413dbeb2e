// Tests run as TypeScript, directly: Node 24 strips the types.
export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts'],
  workerThreads: false,
  concurrency: 2,
  timeout: '10m',
};
