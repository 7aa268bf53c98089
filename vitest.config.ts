import { availableParallelism } from 'node:os';
import { defaultServerConditions } from 'vite';
import { defineConfig } from 'vitest/config';

// Tests run on the sources of every package; the condition is what each package's `exports` calls them.
const conditions = ['@smartpulse/source', ...defaultServerConditions];

const project = (name: string, include: string[], extra: object = {}) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: { name, include, environment: 'node', setupFiles: ['test/support/setup.ts'], ...extra },
});

/** Suites of the real servers in which servers die, hang or hand over while clocks run: they have the machine to themselves. */
const alone = [
  'test/services/**/{faults,cluster,sentinel,outage,drain,modes}.spec.ts',
  'test/services/**/*-{faults,cluster}.spec.ts',
  'test/services/pulsar-transports/{broker,wire-client}/*.spec.ts',
  'test/services/pulsar-transports/{wire,websocket,native}.spec.ts',
  'test/services/redis/{channel,messaging-sets,outside-copy,pressure}.spec.ts',
];
const onServers = { testTimeout: 300_000, hookTimeout: 300_000 };

export default defineConfig({
  test: {
    // Vitest leaves one processor to itself: of two that would be half of them, and its own work is little.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      project('unit', ['libs/**/src/**/*.spec.ts', 'apps/**/src/**/*.spec.ts', 'test/support/**/*.spec.ts'], {
        testTimeout: 20_000,
      }),
      project('property', ['test/property/**/*.spec.ts'], { testTimeout: 180_000 }),
      project('contract', ['test/contract/**/*.spec.ts']),
      project('wire', ['test/wire/**/*.spec.ts'], { testTimeout: 60_000 }),
      project('e2e', ['test/e2e/**/*.e2e-spec.ts'], { testTimeout: 120_000, hookTimeout: 60_000 }),
      project('architecture', ['test/architecture/**/*.spec.ts'], { testTimeout: 60_000, hookTimeout: 60_000 }),
      project('consumer', ['test/consumer/**/*.spec.ts'], { testTimeout: 600_000, hookTimeout: 600_000 }),
      // Two at once: a suite waits for its servers most of the time. First these, then one after the other those that stay alone.
      project('services', ['test/services/**/*.spec.ts'], {
        ...onServers,
        exclude: alone,
        maxWorkers: 2,
        sequence: { groupOrder: 1 },
      }),
      project('services-alone', alone, { ...onServers, fileParallelism: false, sequence: { groupOrder: 2 } }),
    ],
  },
});
