import type { ContractCase } from '@smartpulse/resilience/testing';
import assert from 'node:assert/strict';
import type { AdminCapabilities, BrokerAdmin, SubscriptionReport } from '../admin/broker-admin.js';
import { PulsarError } from '../pulsar.errors.js';
import { consume, eventually, names, produce, type PulsarTransportFixture, text } from './transport-fixture.js';

/** An administration under test and a broker that it belongs to; made anew for every case. */
export interface AdminFixture {
  readonly admin: BrokerAdmin;
  readonly fixture: PulsarTransportFixture;
  /** `tenant/namespace` of the fixture's topics. */
  readonly namespace: string;
  /** A name that nothing has. */
  readonly fresh: () => string;
}

interface AdminCase {
  readonly title: string;
  readonly needs?: keyof AdminCapabilities;
  readonly check: (under: AdminFixture) => Promise<void>;
}

/** What every {@link BrokerAdmin} keeps, as data. Cases of what it says it lacks check that it says so. */
export function brokerAdminContract(
  create: () => AdminFixture | Promise<AdminFixture>,
  capabilities: AdminCapabilities,
): readonly ContractCase[] {
  return CASES.map(({ title, needs, check }) => ({
    title,
    ...(needs !== undefined && !capabilities[needs] ? { skip: `no ${needs}` } : {}),
    run: async () => {
      const under = await create();
      try {
        await check(under);
      } finally {
        await under.fixture.close();
      }
    },
  }));
}

const NONE = {};

async function subscriptionOf(
  { admin }: AdminFixture,
  topic: string,
  name = 's',
): Promise<SubscriptionReport | undefined> {
  const { subscriptions } = await admin.topicReport(topic, NONE);
  return subscriptions.find((one) => one.name === name);
}

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return PulsarError.is(error) ? error.code : String(error);
  }
  return 'none';
}

/** A topic with a subscription that nobody consumes, and messages in it. */
async function backlogged(under: AdminFixture, count: number): Promise<string> {
  const topic = under.fixture.topic();
  const transport = await under.fixture.transport();
  const { consumer } = await consume(transport, topic, { permits: 0 });
  await consumer.close();
  const producer = await produce(transport, topic);
  for (const name of names(count)) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await producer.send(text(name, { key: `k-${name}`, properties: { own: name } }));
  }
  await producer.close();
  return topic;
}

const decoder = new TextDecoder();

const CASES: readonly AdminCase[] = [
  {
    title: 'makes a topic, lists it, and says when it is there already',
    async check({ admin, fixture, namespace }) {
      const topic = fixture.topic();
      assert.equal(await admin.partitions(topic, NONE), undefined);
      await admin.createTopic(topic, 0, NONE);
      assert.equal(await admin.partitions(topic, NONE), 0);
      assert.ok((await admin.listTopics(namespace, NONE)).includes(topic));
      assert.equal(await code(admin.createTopic(topic, 0, NONE)), 'SMARTPULSE_PULSAR_CONFLICT');
      await admin.deleteTopic(topic, false, NONE);
      assert.ok(!(await admin.listTopics(namespace, NONE)).includes(topic));
      assert.equal(await code(admin.deleteTopic(topic, false, NONE)), 'SMARTPULSE_PULSAR_NOT_FOUND');
    },
  },
  {
    title: 'makes a partitioned topic, grows it and never shrinks it',
    needs: 'partitions',
    async check({ admin, fixture, namespace }) {
      const topic = fixture.topic();
      await admin.createTopic(topic, 2, NONE);
      assert.equal(await admin.partitions(topic, NONE), 2);
      await admin.growTopic(topic, 4, NONE);
      assert.equal(await admin.partitions(topic, NONE), 4);
      assert.match(await code(admin.growTopic(topic, 1, NONE)), /NOT_ALLOWED|CONFLICT/);
      const listed = (await admin.listTopics(namespace, NONE)).filter((name) => name.startsWith(topic));
      assert.deepEqual(listed, [topic]);
      assert.equal((await admin.topicReport(topic, NONE)).partitions, 4);
      await admin.unloadTopic(topic, NONE);
      await admin.deleteTopic(topic, true, NONE);
      assert.equal(await admin.partitions(topic, NONE), undefined);
    },
  },
  {
    title: 'deletes no topic under a consumer unless it is forced to',
    async check({ admin, fixture }) {
      const topic = fixture.topic();
      const heard = await consume(await fixture.transport(), topic);
      assert.equal(await code(admin.deleteTopic(topic, false, NONE)), 'SMARTPULSE_PULSAR_NOT_ALLOWED');
      assert.equal(await code(admin.deleteSubscription(topic, 's', false, NONE)), 'SMARTPULSE_PULSAR_NOT_ALLOWED');
      await heard.consumer.close();
      await admin.deleteTopic(topic, true, NONE);
    },
  },
  {
    title: 'terminates a topic: what is stored stays, nothing is added',
    async check(under) {
      const topic = await backlogged(under, 2);
      await under.admin.terminateTopic(topic, NONE);
      assert.equal((await subscriptionOf(under, topic))?.backlog, 2);
      const transport = await under.fixture.transport();
      const refused = produce(transport, topic).then((producer) => producer.send(text('late')));
      assert.equal(await code(refused), 'SMARTPULSE_PULSAR_TOPIC_TERMINATED');
    },
  },
  {
    title: 'tells the backlog of a subscription, which acknowledgements lower',
    async check(under) {
      const topic = await backlogged(under, 3);
      assert.deepEqual(
        { ...(await subscriptionOf(under, topic)), type: undefined, unacked: 0 },
        { name: 's', type: undefined, durable: true, consumers: 0, backlog: 3, unacked: 0 },
      );
      const heard = await consume(await under.fixture.transport(), topic);
      await eventually(under.fixture, () => heard.messages.length === 3, 'three messages');
      await heard.ackAll();
      let left: number | undefined;
      for (let tries = 0; tries < 100 && left !== 0; tries++) {
        // oxlint-disable-next-line no-await-in-loop -- until the broker has taken them
        await under.fixture.advance(50);
        // oxlint-disable-next-line no-await-in-loop -- until the broker has taken them
        left = (await subscriptionOf(under, topic))?.backlog;
      }
      assert.equal(left, 0);
    },
  },
  {
    title: 'shows the oldest messages without taking them',
    async check(under) {
      const topic = await backlogged(under, 3);
      const shown = await under.admin.peek(topic, 's', 2, NONE);
      assert.deepEqual(
        shown.map(({ key, payload, properties }) => [key, decoder.decode(payload), properties['own']]),
        [
          ['k-n0', 'n0', 'n0'],
          ['k-n1', 'n1', 'n1'],
        ],
      );
      assert.equal((await under.admin.peek(topic, 's', 10, NONE)).length, 3);
      assert.equal((await subscriptionOf(under, topic))?.backlog, 3);
    },
  },
  {
    title: 'skips messages, and the whole backlog',
    async check(under) {
      const topic = await backlogged(under, 5);
      await under.admin.skip(topic, 's', 2, NONE);
      const heard = await consume(await under.fixture.transport(), topic);
      await eventually(under.fixture, () => heard.messages.length === 3, 'what was not skipped');
      assert.deepEqual(heard.texts(), names(3, 2));
      await heard.consumer.close();
      await under.admin.skip(topic, 's', 'all', NONE);
      assert.equal((await subscriptionOf(under, topic))?.backlog, 0);
      assert.deepEqual(await under.admin.peek(topic, 's', 1, NONE), []);
    },
  },
  {
    title: 'deletes a subscription, and says when there is none',
    async check(under) {
      const topic = await backlogged(under, 1);
      await under.admin.deleteSubscription(topic, 's', false, NONE);
      assert.equal(await subscriptionOf(under, topic), undefined);
      const codes = await Promise.all(
        [
          under.admin.deleteSubscription(topic, 's', false, NONE),
          under.admin.peek(topic, 's', 1, NONE),
          under.admin.skip(topic, 's', 1, NONE),
          under.admin.skip(topic, 's', 'all', NONE),
          under.admin.topicReport(`${topic}-none`, NONE),
        ].map(code),
      );
      assert.deepEqual(codes, Array(5).fill('SMARTPULSE_PULSAR_NOT_FOUND'));
    },
  },
  {
    title: 'sets a cursor back to a time: what was acknowledged comes again',
    needs: 'cursorReset',
    async check(under) {
      const topic = await backlogged(under, 3);
      const keeper = await consume(await under.fixture.transport(), topic, { subscription: 'keeper', permits: 0 });
      await keeper.consumer.close();
      await under.admin.skip(topic, 's', 'all', NONE);
      await under.admin.resetCursor(topic, 's', 0, NONE);
      assert.equal((await subscriptionOf(under, topic))?.backlog, 3);
    },
  },
  {
    title: 'makes tenants and namespaces, lists them, and says when they are there already',
    needs: 'tenants',
    async check({ admin, fresh }) {
      const tenant = fresh();
      await admin.createTenant(tenant, NONE);
      assert.ok((await admin.listTenants(NONE)).includes(tenant));
      assert.equal(await code(admin.createTenant(tenant, NONE)), 'SMARTPULSE_PULSAR_CONFLICT');
      await admin.createNamespace(`${tenant}/one`, NONE);
      assert.deepEqual(await admin.listNamespaces(tenant, NONE), [`${tenant}/one`]);
      assert.equal(await code(admin.createNamespace(`${tenant}/one`, NONE)), 'SMARTPULSE_PULSAR_CONFLICT');
      assert.equal(await code(admin.listNamespaces(fresh(), NONE)), 'SMARTPULSE_PULSAR_NOT_FOUND');
    },
  },
  {
    title: 'sets the policies of a namespace, those that are given, and reads them',
    needs: 'policies',
    async check({ admin, fresh }) {
      const tenant = fresh();
      await admin.createTenant(tenant, NONE);
      const namespace = `${tenant}/policies`;
      await admin.createNamespace(namespace, NONE);
      assert.deepEqual(await admin.policies(namespace, NONE), {
        retention: undefined,
        deduplication: undefined,
        messageTtlSeconds: undefined,
        backlogQuota: undefined,
      });
      const all = {
        retention: { minutes: 60, megabytes: 100 },
        deduplication: true,
        messageTtlSeconds: 3_600,
        backlogQuota: { limitBytes: 10_485_760, policy: 'producer_exception' },
      } as const;
      await admin.setPolicies(namespace, all, NONE);
      assert.deepEqual(await admin.policies(namespace, NONE), all);
      await admin.setPolicies(namespace, { deduplication: false }, NONE);
      assert.deepEqual(await admin.policies(namespace, NONE), { ...all, deduplication: false });
    },
  },
];
