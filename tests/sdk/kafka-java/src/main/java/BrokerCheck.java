import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.AbstractMap.SimpleEntry;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Checks a broker with Apache's own clients: topics, an idempotent producer with every compression, look-ups by timestamp,
 * reading by assign and seek. The one argument is the bootstrap address; the first mismatch ends it with exit code 1.
 */
public final class BrokerCheck {
    private static final int MESSAGES = 3_000;
    private static final long BASE_TIMESTAMP = 1_700_000_000_000L;
    private static final Duration TIMEOUT = Duration.ofSeconds(30);

    private final String bootstrap;
    /** Leaves topics of an earlier run alone. */
    private final String run = UUID.randomUUID().toString().substring(0, 8);
    private final Admin admin;
    /** Deleted at the end. */
    private final List<String> created = new ArrayList<>();

    private BrokerCheck(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
    }

    public static void main(String[] arguments) {
        if (arguments.length != 1) {
            System.err.println("usage: BrokerCheck HOST:PORT");
            System.exit(2);
        }
        int status = 0;
        try {
            new BrokerCheck(arguments[0]).checkAll();
        } catch (Exception | AssertionError failure) {
            failure.printStackTrace();
            status = 1;
        }
        System.exit(status);
    }

    private void checkAll() throws Exception {
        try (admin) {
            checkCluster();
            for (String compression : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                checkMessages(compression);
            }
            checkLogAppendTime();
            checkAdministration();
            checkGroupOffsets();
            admin.deleteTopics(created).all().get();
        }
        System.out.println("all checks passed");
    }

    private void checkCluster() throws Exception {
        var cluster = admin.describeCluster();
        String clusterId = cluster.clusterId().get();
        equal("length of the cluster id", 22, clusterId.length());
        equal("nodes", 1, cluster.nodes().get().size());
        equal("controller", cluster.nodes().get().iterator().next().id(), cluster.controller().get().id());
        System.out.println("cluster " + clusterId);
    }

    /** Produces with one compression, then looks up and reads everything in several ways. */
    private void checkMessages(String compression) throws Exception {
        String topic = createTopic("messages-" + compression, 2, Map.of("retention.ms", "-1"));
        List<Message> sent = IntStream.range(0, MESSAGES).mapToObj(Message::at).toList();
        try (var producer = producer(Map.of("compression.type", compression, "linger.ms", "5", "batch.size", "20000"))) {
            List<Future<RecordMetadata>> answers = new ArrayList<>();
            for (Message message : sent) {
                answers.add(producer.send(message.toRecord(topic)));
            }
            for (int offset = 0; offset < MESSAGES; offset++) {
                RecordMetadata answer = answers.get(offset).get();
                equal("acknowledged offset", (long) offset, answer.offset());
                equal("acknowledged timestamp", sent.get(offset).timestamp, answer.timestamp());
            }
        }
        checkLookups(topic, sent);
        checkReading(topic, sent);
        System.out.println(compression + ": " + MESSAGES + " messages whole, look-ups exact");
    }

    private void checkLookups(String topic, List<Message> sent) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        TopicPartition empty = new TopicPartition(topic, 1);
        long last = sent.stream().mapToLong(message -> message.timestamp).max().orElseThrow();
        try (var consumer = consumer(Map.of())) {
            equal("beginning", 0L, consumer.beginningOffsets(List.of(partition)).get(partition));
            equal("end", (long) MESSAGES, consumer.endOffsets(List.of(partition)).get(partition));
            for (long timestamp = BASE_TIMESTAMP - 1; timestamp <= last + 1; timestamp += 37) {
                OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, timestamp)).get(partition);
                equal("look-up of " + timestamp, firstReaching(sent, timestamp), found == null ? -1 : (int) found.offset());
                if (found != null) {
                    equal("its timestamp", sent.get((int) found.offset()).timestamp, found.timestamp());
                }
            }
            equal("behind the last", null, consumer.offsetsForTimes(Map.of(partition, last + 1)).get(partition));
            equal("in an empty log", null, consumer.offsetsForTimes(Map.of(empty, 0L)).get(empty));
        }
        ListOffsetsResultInfo latest =
                admin.listOffsets(Map.of(partition, OffsetSpec.maxTimestamp())).partitionResult(partition).get();
        equal("largest timestamp", last, latest.timestamp());
        equal("its offset", (long) firstReaching(sent, last), latest.offset());
    }

    private static int firstReaching(List<Message> sent, long timestamp) {
        return IntStream.range(0, sent.size()).filter(at -> sent.get(at).timestamp >= timestamp).findFirst().orElse(-1);
    }

    private void checkReading(String topic, List<Message> sent) {
        TopicPartition partition = new TopicPartition(topic, 0);
        for (String isolation : List.of("read_uncommitted", "read_committed")) {
            try (var consumer = consumer(Map.of("isolation.level", isolation, "check.crcs", "true"))) {
                consumer.assign(List.of(partition));
                for (int start : new int[] {0, 1_234, MESSAGES - 1}) {
                    consumer.seek(partition, start);
                    int offset = start;
                    for (ConsumerRecord<byte[], byte[]> record : read(consumer, MESSAGES - start)) {
                        equal("offset", (long) offset, record.offset());
                        sent.get(offset).compare(record);
                        offset++;
                    }
                }
            }
        }
    }

    private void checkLogAppendTime() throws Exception {
        String topic = createTopic("stamped", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        long acknowledged;
        try (var producer = producer(Map.of("compression.type", "lz4"))) {
            acknowledged = producer.send(Message.at(1).toRecord(topic)).get().timestamp();
        }
        long after = System.currentTimeMillis();
        check("acknowledged log append time " + acknowledged, before <= acknowledged && acknowledged <= after);
        try (var consumer = consumer(Map.of())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            consumer.seekToBeginning(consumer.assignment());
            ConsumerRecord<byte[], byte[]> record = read(consumer, 1).get(0);
            equal("kind of timestamp", TimestampType.LOG_APPEND_TIME, record.timestampType());
            equal("log append time", acknowledged, record.timestamp());
        }
        System.out.println("log append time kept");
    }

    private void checkAdministration() throws Exception {
        String topic = createTopic("managed", 1, Map.of("cleanup.policy", "delete", "max.message.bytes", "2000"));
        fails("creating it again", TopicExistsException.class, () -> createTopic("managed", 1, Map.of()));

        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        equal("cleanup.policy", "delete", config.get("cleanup.policy").value());
        check("cleanup.policy was given", !config.get("cleanup.policy").isDefault());
        equal("max.message.bytes", "2000", config.get("max.message.bytes").value());
        equal("message.timestamp.type", "CreateTime", config.get("message.timestamp.type").value());
        check("message.timestamp.type is a default", config.get("message.timestamp.type").isDefault());
        check("retention.ms is there", config.get("retention.ms") != null);
        check("segment.bytes is there", config.get("segment.bytes") != null);
        String compacted = createTopic("compacted", 1, Map.of("cleanup.policy", "compact"));
        ConfigResource other = new ConfigResource(ConfigResource.Type.TOPIC, compacted);
        equal("the other cleanup.policy", "compact",
                admin.describeConfigs(List.of(other)).all().get().get(other).get("cleanup.policy").value());
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        equal("node.id", "1", admin.describeConfigs(List.of(broker)).all().get().get(broker).get("node.id").value());

        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
        TopicDescription described = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        equal("topic partitions", 3, described.partitions().size());
        var byId = admin.describeTopics(TopicCollection.ofTopicIds(List.of(described.topicId())));
        equal("name by id", topic, byId.allTopicIds().get().get(described.topicId()).name());

        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = producer(Map.of())) {
            for (int at = 0; at < 10; at++) {
                producer.send(Message.at(at).toRecord(topic)).get();
            }
            ProducerRecord<byte[], byte[]> large = new ProducerRecord<>(topic, 0, null, new byte[3_000]);
            fails("a message that is too large", Exception.class, () -> producer.send(large).get());
        }
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4))).all().get();
        try (var consumer = consumer(Map.of())) {
            equal("log start offset", 4L, consumer.beginningOffsets(List.of(partition)).get(partition));
        }

        admin.deleteTopics(List.of(topic)).all().get();
        created.remove(topic);
        check("the topic is gone", !admin.listTopics().names().get().contains(topic));
        fails("describing it", UnknownTopicOrPartitionException.class,
                () -> admin.describeTopics(List.of(topic)).allTopicNames().get());
        System.out.println("topics created, described, grown, emptied, deleted");
    }

    private void checkGroupOffsets() throws Exception {
        String topic = createTopic("grouped", 2, Map.of());
        TopicPartition first = new TopicPartition(topic, 0);
        TopicPartition second = new TopicPartition(topic, 1);
        try (var producer = producer(Map.of())) {
            for (int at = 0; at < 10; at++) {
                producer.send(Message.at(at).toRecord(topic)).get();
            }
        }
        String group = "group-" + run;
        try (var consumer = consumer(Map.of("group.id", group))) {
            consumer.assign(List.of(first, second));
            consumer.seekToBeginning(List.of(first, second));
            read(consumer, 10);
            consumer.commitSync(Map.of(first, new OffsetAndMetadata(7, "a note")));
        }
        try (var consumer = consumer(Map.of("group.id", group))) {
            Map<TopicPartition, OffsetAndMetadata> committed =
                    consumer.committed(Set.of(first, second));
            equal("group offset", 7L, committed.get(first).offset());
            equal("its note", "a note", committed.get(first).metadata());
            equal("no group offset", null, committed.get(second));
            consumer.assign(List.of(first));
            equal("where the group goes on", 7L, consumer.position(first));
        }
        equal("the admin's view", 7L,
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(first).offset());
        System.out.println("group offsets kept");
    }

    private String createTopic(String name, int partitions, Map<String, String> settings) throws Exception {
        String topic = name + "-" + run;
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(settings))).all().get();
        created.add(topic);
        return topic;
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("enable.idempotence", true);
        return new KafkaProducer<>(all, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(settings);
        all.put("bootstrap.servers", bootstrap);
        all.put("enable.auto.commit", false);
        all.put("auto.offset.reset", "none");
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** Polls until {@code count} messages came. */
    private static List<ConsumerRecord<byte[], byte[]>> read(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        while (records.size() < count) {
            var polled = consumer.poll(TIMEOUT);
            check("messages come in time, after " + records.size() + " of " + count, !polled.isEmpty());
            polled.forEach(records::add);
        }
        equal("messages read", count, records.size());
        return records;
    }

    private interface Action {
        Object run() throws Exception;
    }

    private static void fails(String what, Class<? extends Exception> expected, Action action) throws Exception {
        try {
            action.run();
        } catch (ExecutionException failure) {
            check(what + " fails with " + failure.getCause(), expected.isInstance(failure.getCause()));
            return;
        }
        throw new AssertionError(what + " does not fail");
    }

    private static void equal(String what, Object expected, Object found) {
        check(what + " is " + found + ", expected " + expected, Objects.equals(expected, found));
    }

    private static void check(String what, boolean holds) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** A message that can be made again from its offset. */
    private static final class Message {
        final long timestamp;
        final byte[] key;
        final byte[] payload;
        final List<Map.Entry<String, byte[]>> headers;

        private Message(long timestamp, byte[] key, byte[] payload, List<Map.Entry<String, byte[]>> headers) {
            this.timestamp = timestamp;
            this.key = key;
            this.payload = payload;
            this.headers = headers;
        }

        /** Out of order in time, some without key, some tombstones, with headers that repeat and are null. */
        static Message at(int offset) {
            Function<String, byte[]> bytes = text -> text.getBytes(StandardCharsets.UTF_8);
            return new Message(
                    BASE_TIMESTAMP + (offset * 7_919L) % 10_000,
                    offset % 3 == 0 ? null : bytes.apply("key " + offset % 10),
                    offset % 5 == 0 ? null : bytes.apply("payload ".repeat(20) + offset),
                    List.of(
                            Map.entry("trace", bytes.apply("" + offset)),
                            Map.entry("trace", new byte[0]),
                            new SimpleEntry<>("absent", null)));
        }

        ProducerRecord<byte[], byte[]> toRecord(String topic) {
            RecordHeaders all = new RecordHeaders();
            headers.forEach(header -> all.add(header.getKey(), header.getValue()));
            return new ProducerRecord<>(topic, 0, timestamp, key, payload, all);
        }

        void compare(ConsumerRecord<byte[], byte[]> record) {
            equal("kind of timestamp", TimestampType.CREATE_TIME, record.timestampType());
            equal("timestamp", timestamp, record.timestamp());
            check("key of offset " + record.offset(), Arrays.equals(key, record.key()));
            check("payload of offset " + record.offset(), Arrays.equals(payload, record.value()));
            Header[] found = record.headers().toArray();
            equal("headers", headers.size(), found.length);
            for (int at = 0; at < found.length; at++) {
                equal("header name", headers.get(at).getKey(), found[at].key());
                check("header value", Arrays.equals(headers.get(at).getValue(), found[at].value()));
            }
        }
    }
}
