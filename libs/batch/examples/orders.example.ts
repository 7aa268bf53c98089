/**
 * Orders come in one by one and are saved in batches; what happens to one customer's orders afterwards happens in their order.
 *
 * Run it: `npm run example batch`.
 */
import { AutoBatchWorker, AutoConcurrentPartitionedQueue } from '@smartpulse/batch';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';

interface Order {
  readonly customer: string;
  readonly amount: number;
}

const clock = new SystemClock();
let lastId = 0;

const saver = new AutoBatchWorker<Order, number>(
  {
    name: 'orders',
    maxBatchItems: 50,
    handler: async (orders) => {
      await clock.sleep(20); // one transaction for all of them
      console.log(`saved ${orders.length} orders at once`);
      return orders.map(({ amount }) =>
        amount > 0
          ? { status: 'fulfilled', value: ++lastId }
          : { status: 'rejected', error: new RangeError('an order needs an amount above 0') },
      );
    },
  },
  { clock, random: new SystemRandom() },
);

const mails = new AutoConcurrentPartitionedQueue<string, number>(
  {
    name: 'mails',
    concurrency: 4,
    handler: async (order, { key, attempt }) => {
      await clock.sleep(5);
      if (order === 2 && attempt === 1) {
        return { retryAfterMs: 30 }; // later orders of this customer wait, those of others do not
      }
      console.log(`told ${key} about order ${order}`);
      return undefined;
    },
    onError: (error, order) => console.error(`order ${order} was not told`, error),
  },
  { clock },
);

const orders = Array.from({ length: 9 }, (_, index): Order => ({
  customer: ['ann', 'bob', 'cat'][index % 3] ?? 'nobody',
  amount: index - 1,
}));
await Promise.all(
  orders.map(async (order) => {
    try {
      await mails.enqueue(order.customer, await saver.submit(order));
    } catch (error) {
      console.log(`${order.customer}: ${String(error)}`);
    }
  }),
);
await mails.idle();
console.log(await mails.drain(), await saver.drain());
