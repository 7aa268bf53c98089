"""The official Python client as the other end: writes the messages that it is told, and tells those that it reads. Bytes are base64."""

import base64
import json
import sys

import pulsar

KINDS = pulsar.CompressionType
COMPRESSION = {"none": KINDS.NONE, "lz4": KINDS.LZ4, "zlib": KINDS.ZLib, "zstd": KINDS.ZSTD, "snappy": KINDS.SNAPPY}


def write(client, task):
    producer = client.create_producer(
        task["topic"],
        compression_type=COMPRESSION[task["compression"]],
        batching_enabled=task["batching"],
        batching_max_publish_delay_ms=50,
    )
    failures = []

    def stored(result, _id):
        if result != pulsar.Result.Ok:
            failures.append(str(result))

    for message in task["messages"]:
        # This client takes the ordering key as a text and encodes it in UTF-8.
        ordering = message.get("orderingKey")
        producer.send_async(
            base64.b64decode(message["payload"]),
            stored,
            properties=message.get("properties"),
            partition_key=message.get("key"),
            ordering_key=None if ordering is None else base64.b64decode(ordering).decode(),
            event_timestamp=message.get("eventTimeMs"),
        )
    producer.flush()
    producer.close()
    return {} if not failures else {"error": failures[0]}


def read(client, task):
    consumer = client.subscribe(task["topic"], "interop-python", initial_position=pulsar.InitialPosition.Earliest)
    messages = []
    while len(messages) < task["count"]:
        message = consumer.receive(timeout_millis=20000)
        told = {"payload": base64.b64encode(message.data()).decode(), "properties": message.properties()}
        if message.partition_key():
            told["key"] = message.partition_key()
        if message.ordering_key():
            told["orderingKey"] = base64.b64encode(message.ordering_key().encode()).decode()
        if message.event_timestamp():
            told["eventTimeMs"] = message.event_timestamp()
        messages.append(told)
        consumer.acknowledge(message)
    consumer.close()
    return {"messages": messages}


def main():
    client = pulsar.Client(sys.argv[1], logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, sys.argv[2]))
    for line in sys.stdin:
        try:
            task = json.loads(line)
            answer = write(client, task) if task["kind"] == "write" else read(client, task)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to hear of it
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)
    client.close()


main()
