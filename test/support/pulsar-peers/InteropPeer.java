import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.pulsar.client.api.CompressionType;
import org.apache.pulsar.client.api.Consumer;
import org.apache.pulsar.client.api.DeadLetterPolicy;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.Producer;
import org.apache.pulsar.client.api.PulsarClient;
import org.apache.pulsar.client.api.SubscriptionInitialPosition;
import org.apache.pulsar.client.api.SubscriptionType;
import org.apache.pulsar.client.api.TypedMessageBuilder;

/** The official Java client as the other end: writes the messages that it is told, and tells those that it reads. Bytes are base64. */
public final class InteropPeer {
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        PulsarClient client = PulsarClient.builder().serviceUrl(args[0]).build();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                JsonNode task = JSON.readTree(line);
                switch (task.get("kind").asText()) {
                    case "write" -> write(client, task);
                    case "reconsume" -> reconsume(client, task, answer.putArray("messages"));
                    default -> read(client, task, answer.putArray("messages"));
                }
            } catch (Exception error) {
                answer.put("error", error.toString());
            }
            System.out.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
            System.out.flush();
        }
        client.close();
        System.exit(0);
    }

    private static void write(PulsarClient client, JsonNode task) throws Exception {
        try (Producer<byte[]> producer = client.newProducer().topic(task.get("topic").asText())
                .compressionType(CompressionType.valueOf(task.get("compression").asText().toUpperCase()))
                .enableBatching(task.get("batching").asBoolean()).batchingMaxPublishDelay(50, TimeUnit.MILLISECONDS)
                .create()) {
            List<CompletableFuture<?>> sent = new ArrayList<>();
            for (JsonNode message : task.get("messages")) {
                TypedMessageBuilder<byte[]> builder = producer.newMessage();
                builder.value(message.get("payload").isNull() ? null : bytes(message, "payload"));
                if (message.has("key")) {
                    builder.key(message.get("key").asText());
                }
                if (message.has("orderingKey")) {
                    builder.orderingKey(bytes(message, "orderingKey"));
                }
                if (message.has("eventTimeMs")) {
                    builder.eventTime(message.get("eventTimeMs").asLong());
                }
                message.path("properties").fields()
                        .forEachRemaining(each -> builder.property(each.getKey(), each.getValue().asText()));
                sent.add(builder.sendAsync());
            }
            for (CompletableFuture<?> each : sent) {
                each.get(20, TimeUnit.SECONDS);
            }
        }
    }

    private static void read(PulsarClient client, JsonNode task, ArrayNode messages) throws Exception {
        try (Consumer<byte[]> consumer = client.newConsumer().topic(task.get("topic").asText())
                .subscriptionName("interop-java")
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).subscribe()) {
            while (messages.size() < task.get("count").asInt()) {
                Message<byte[]> message = consumer.receive(20, TimeUnit.SECONDS);
                if (message == null) {
                    throw new IllegalStateException("only " + messages.size() + " messages came");
                }
                ObjectNode told = messages.addObject();
                // A message without a payload has a null value, also where its data are empty bytes.
                if (message.getValue() == null) {
                    told.putNull("payload");
                } else {
                    told.put("payload", Base64.getEncoder().encodeToString(message.getData()));
                }
                if (message.hasKey()) {
                    told.put("key", message.getKey());
                }
                if (message.hasOrderingKey()) {
                    told.put("orderingKey", Base64.getEncoder().encodeToString(message.getOrderingKey()));
                }
                if (message.getEventTime() != 0) {
                    told.put("eventTimeMs", message.getEventTime());
                }
                told.set("properties", JSON.valueToTree(message.getProperties()));
                consumer.acknowledge(message);
            }
        }
    }

    /** Takes messages of a topic and of its retry topic; those that have come less often than they are to be reconsumed, later, the others are acknowledged. */
    private static void reconsume(PulsarClient client, JsonNode task, ArrayNode messages) throws Exception {
        try (Consumer<byte[]> consumer = client.newConsumer().topic(task.get("topic").asText())
                .subscriptionName(task.get("subscription").asText()).subscriptionType(SubscriptionType.Shared)
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).enableRetry(true)
                .deadLetterPolicy(DeadLetterPolicy.builder().maxRedeliverCount(10).build()).subscribe()) {
            while (messages.size() < task.get("count").asInt()) {
                Message<byte[]> message = consumer.receive(20, TimeUnit.SECONDS);
                if (message == null) {
                    throw new IllegalStateException("only " + messages.size() + " messages came");
                }
                ObjectNode told = messages.addObject();
                told.put("payload", Base64.getEncoder().encodeToString(message.getData()));
                told.put("topic", message.getTopicName());
                told.set("properties", JSON.valueToTree(message.getProperties()));
                if (Integer.parseInt(message.getProperties().getOrDefault("RECONSUMETIMES", "0")) < task.get("times").asInt()) {
                    consumer.reconsumeLater(message, task.get("delayMs").asLong(), TimeUnit.MILLISECONDS);
                } else {
                    consumer.acknowledge(message);
                }
            }
        }
    }

    private static byte[] bytes(JsonNode message, String field) {
        return Base64.getDecoder().decode(message.get(field).asText());
    }
}
