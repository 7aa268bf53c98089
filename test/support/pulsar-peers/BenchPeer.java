import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;
import org.apache.pulsar.client.api.SubscriptionType;

/** The official client as a contestant: one job a line, its figures as the answer. The same loops as those of the contestants in Node. */
public final class BenchPeer {
    private static final com.sun.management.OperatingSystemMXBean SYSTEM =
            (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final PulsarClient client;
    private final int window;
    private final int batchMessages;
    private final int batchBytes;
    private final int lingerMs;

    private BenchPeer(PulsarClient client, JsonNode settings) {
        this.client = client;
        this.window = settings.get("window").asInt();
        this.batchMessages = settings.get("batchMessages").asInt();
        this.batchBytes = settings.get("batchBytes").asInt();
        this.lingerMs = settings.get("lingerMs").asInt();
    }

    public static void main(String[] args) throws Exception {
        ObjectMapper json = new ObjectMapper();
        PulsarClient client = PulsarClient.builder().serviceUrl(args[0]).build();
        BenchPeer peer = new BenchPeer(client, json.readTree(args[1]));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            ObjectNode answer = json.createObjectNode();
            try {
                peer.run(json.readTree(line), answer);
            } catch (Exception error) {
                answer.put("error", error.toString());
            }
            System.out.println(answer);
        }
        client.close();
        System.exit(0);
    }

    private void run(JsonNode job, ObjectNode answer) throws Exception {
        switch (job.get("kind").asText()) {
            case "open" -> { }
            case "heap" -> heap(answer);
            case "publish" -> publish(job, answer);
            case "consume" -> consume(job, answer);
            case "latency" -> latency(job, answer);
            default -> throw new IllegalArgumentException("unknown job " + job);
        }
    }

    private static void heap(ObjectNode answer) {
        System.gc();
        answer.put("heapBytes", ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
    }

    private Producer<byte[]> producer(String topic) throws Exception {
        return client.newProducer().topic(topic).enableBatching(true).batchingMaxMessages(batchMessages)
                .batchingMaxBytes(batchBytes).batchingMaxPublishDelay(lingerMs, TimeUnit.MILLISECONDS)
                .maxPendingMessages(window).blockIfQueueFull(true).create();
    }

    private void publish(JsonNode job, ObjectNode answer) throws Exception {
        int messages = job.get("messages").asInt();
        byte[] payload = new byte[job.get("bytes").asInt()];
        Arrays.fill(payload, (byte) 'x');
        try (Producer<byte[]> producer = producer(job.get("topic").asText())) {
            CountDownLatch stored = new CountDownLatch(messages);
            Throwable[] failure = new Throwable[1];
            Stopwatch watch = new Stopwatch();
            for (int sent = 0; sent < messages; sent++) {
                producer.sendAsync(payload).whenComplete((id, error) -> {
                    if (error != null) {
                        failure[0] = error;
                    }
                    stored.countDown();
                });
            }
            stored.await();
            watch.stop(answer);
            if (failure[0] != null) {
                throw new IllegalStateException(failure[0]);
            }
        }
    }

    private void consume(JsonNode job, ObjectNode answer) throws Exception {
        int messages = job.get("messages").asInt();
        int bytes = job.get("bytes").asInt();
        Stopwatch watch = new Stopwatch();
        try (Consumer<byte[]> consumer = client.newConsumer().topic(job.get("topic").asText())
                .subscriptionName(job.get("subscription").asText()).subscriptionType(SubscriptionType.Shared)
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).receiverQueueSize(window)
                // By default the last acknowledgements wait for 100 ms, which would be a tenth of a run.
                .acknowledgmentGroupTime(lingerMs, TimeUnit.MILLISECONDS)
                .isAckReceiptEnabled(true).enableBatchIndexAcknowledgment(true).subscribe()) {
            CountDownLatch acknowledged = new CountDownLatch(messages);
            for (int received = 0; received < messages; received++) {
                Message<byte[]> message = consumer.receive();
                if (message.getData().length != bytes) {
                    throw new IllegalStateException("a message of " + message.getData().length + " bytes");
                }
                consumer.acknowledgeAsync(message).thenRun(acknowledged::countDown);
            }
            acknowledged.await();
            watch.stop(answer);
        }
    }

    private void latency(JsonNode job, ObjectNode answer) throws Exception {
        int messages = job.get("messages").asInt();
        long intervalNanos = 1_000_000_000L / job.get("perSecond").asInt();
        String topic = job.get("topic").asText();
        long[] nanos = new long[messages];
        Semaphore received = new Semaphore(0);
        try (Consumer<byte[]> consumer = client.newConsumer().topic(topic)
                .subscriptionName(job.get("subscription").asText()).subscriptionType(SubscriptionType.Shared)
                .receiverQueueSize(window).messageListener((from, message) -> {
                    ByteBuffer payload = ByteBuffer.wrap(message.getData());
                    nanos[payload.getInt(8)] = System.nanoTime() - payload.getLong(0);
                    from.acknowledgeAsync(message);
                    received.release();
                }).subscribe();
                Producer<byte[]> producer = producer(topic)) {
            long started = System.nanoTime();
            for (int sent = 0; sent < messages; sent++) {
                long due = started + sent * intervalNanos;
                for (long wait; (wait = due - System.nanoTime()) > 0; ) {
                    LockSupport.parkNanos(wait);
                }
                byte[] payload = new byte[job.get("bytes").asInt()];
                ByteBuffer.wrap(payload).putLong(System.nanoTime()).putInt(sent);
                producer.sendAsync(payload);
            }
            if (!received.tryAcquire(messages, 20, TimeUnit.SECONDS)) {
                throw new IllegalStateException("not every message came");
            }
        }
        Arrays.sort(nanos);
        answer.put("p50Ms", nanos[messages / 2] / 1e6);
        answer.put("p99Ms", nanos[messages * 99 / 100] / 1e6);
    }

    /** Elapsed and processor time of this process. */
    private static final class Stopwatch {
        private final long started = System.nanoTime();
        private final long cpuStarted = SYSTEM.getProcessCpuTime();

        private void stop(ObjectNode answer) {
            answer.put("ms", (System.nanoTime() - started) / 1e6);
            answer.put("cpuMs", (SYSTEM.getProcessCpuTime() - cpuStarted) / 1e6);
        }
    }
}
