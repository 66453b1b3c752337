import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Applies the events of ipn-receiver to a local file: each event once and in order, also after crashes.
 *
 * <p>The consumer stores the effects first and commits the offsets afterwards. After a crash in between, it reads the
 * records again and the store recognizes them. Replace {@link Store} with your own work and your own database.
 */
public final class EventsConsumer {
    private static final String USAGE = """
        usage: EventsConsumer --bootstrap-servers HOST:PORT,... --group GROUP --store FILE [option...]

        Applies each event of ipn-receiver to a file, once and in order, and prints it.

          --bootstrap-servers HOST:PORT,...  addresses of Kafka
          --topic TOPIC                      topic of the events (default: amazonpay.events.v1)
          --group GROUP                      consumer group
          --store FILE                       one JSON line for each applied event; created if missing
          --until-idle SECONDS               exit when no record arrives for this long
          --property NAME=VALUE              any other property of the Kafka consumer, such as
                                             security.protocol=SSL; repeatable
          --help                             print this help

        Exit code: 0 after SIGINT, SIGTERM or --until-idle, 1 on an error, 2 for wrong arguments.
        """;

    /** The known event types. Releases may add types at any time; the consumer skips unknown ones. */
    private static final Set<String> EVENTS = Set.of(
        "PermissionChargeable", "PermissionNonChargeable", "PermissionClosed", "PaymentMethodUpdated",
        "PermissionUpdated", "PermissionStateUnrecognized",
        "ChargeAuthorizationInitiated", "ChargeAuthorized", "ChargeCaptureInitiated", "ChargeCaptured",
        "ChargeDeclined", "ChargeCanceled", "ChargeUpdated", "ChargeStateUnrecognized",
        "RefundInitiated", "RefundCompleted", "RefundDeclined", "RefundStateUnrecognized",
        "DisputeUnderReview", "DisputeActionRequired", "DisputeResolved", "DisputeClosed",
        "DisputeStateUnrecognized");

    private static final Pattern TYPE = Pattern.compile(".+\\.([A-Za-z]+)\\.v1"); // the prefix is a setting
    private static final Pattern SEQUENCE = Pattern.compile("[0-9]{20}");

    /** Settings that "once and in order" depends on. */
    private static final Map<String, Object> FIXED = Map.of(
        "isolation.level", "read_committed", // skip records of aborted transactions
        "enable.auto.commit", "false", // offsets are committed after the effects are stored
        "auto.offset.reset", "none", // never skip a gap silently
        "allow.auto.create.topics", "false",
        "key.deserializer", ByteArrayDeserializer.class.getName(),
        "value.deserializer", ByteArrayDeserializer.class.getName());

    private static final ObjectMapper JSON =
        new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private static volatile boolean stopping;

    public static void main(String[] args) {
        // If slf4j-simple is the logger, log warnings only.
        if (System.getProperty("org.slf4j.simpleLogger.defaultLogLevel") == null) {
            System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        }
        CountDownLatch done = new CountDownLatch(1);
        int[] code = {1};
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            if (done.getCount() == 0) {
                return;
            }
            stopping = true;
            try {
                done.await();
            } catch (InterruptedException e) {
                return;
            }
            // A clean shutdown after a signal exits with 0; the JVM alone would exit with 130 or 143.
            Runtime.getRuntime().halt(code[0]);
        }));
        code[0] = run(args);
        done.countDown();
        System.exit(code[0]);
    }

    private static int run(String[] args) {
        try {
            Options options = Options.of(args);
            if (options == null) {
                System.out.print(USAGE);
                return 0;
            }
            try (Store store = new Store(options.store)) {
                consume(options, store);
            }
            return 0;
        } catch (WrongArgument e) {
            System.err.println("EventsConsumer: " + e.getMessage() + " (see --help)");
            return 2;
        } catch (ConsumerException e) {
            System.err.println("EventsConsumer: " + e.getMessage());
            return 1;
        } catch (IOException e) {
            System.err.println("EventsConsumer: the store failed: " + e);
            return 1;
        } catch (KafkaException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            System.err.println("EventsConsumer: Kafka: " + cause.getMessage());
            return 1;
        }
    }

    private static void consume(Options options, Store store) throws IOException, ConsumerException {
        Map<String, Object> properties = new HashMap<>(options.properties);
        properties.putAll(FIXED);
        properties.put("bootstrap.servers", options.bootstrapServers);
        properties.put("group.id", options.group);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties)) {
            checkTopic(consumer, options);
            Assignment assignment = new Assignment(consumer, store);
            consumer.subscribe(List.of(options.topic), assignment);
            while (!stopping) {
                var records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) {
                    if (options.untilIdle != null && assignment.idleFor(options.untilIdle)) {
                        return;
                    }
                    continue;
                }
                ConsumerException failure = null;
                List<String> lines = new ArrayList<>();
                Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    try {
                        Event event = Event.of(record.value());
                        if (event != null && store.apply(event)) {
                            lines.add(event.line());
                        }
                    } catch (UnreadableRecord e) {
                        // The records before it are finished below.
                        failure = new ConsumerException("cannot read the record at " + record.topic() + " partition "
                            + record.partition() + " offset " + record.offset() + ": " + e.getMessage()
                            + "; no later record was applied");
                        break;
                    }
                    next.put(new TopicPartition(record.topic(), record.partition()),
                        new OffsetAndMetadata(record.offset() + 1));
                }
                store.sync();
                lines.forEach(System.out::println);
                commit(consumer, next);
                if (failure != null) {
                    throw failure;
                }
                assignment.lastActivity = System.nanoTime();
            }
        } catch (OffsetOutOfRangeException e) {
            throw new ConsumerException("the next records are no longer in Kafka, so events are lost: "
                + e.offsetOutOfRangePartitions() + "; to continue with the remaining events, stop all members and run"
                + " kafka-consumer-groups.sh --group " + options.group + " --topic " + options.topic
                + " --reset-offsets --to-earliest --execute");
        }
    }

    private static void commit(KafkaConsumer<?, ?> consumer, Map<TopicPartition, OffsetAndMetadata> next) {
        try {
            consumer.commitSync(next);
        } catch (RebalanceInProgressException | CommitFailedException e) {
            // A rebalance is in progress. The records are read again, and the store recognizes them.
            System.err.println("EventsConsumer: offsets not committed: " + e.getMessage());
        }
    }

    /** Without this check, a wrong address or topic would look like an empty topic. */
    private static void checkTopic(KafkaConsumer<?, ?> consumer, Options options) throws ConsumerException {
        List<?> partitions;
        try {
            partitions = consumer.partitionsFor(options.topic, Duration.ofSeconds(10));
        } catch (TimeoutException e) {
            throw new ConsumerException("no answer from Kafka at " + options.bootstrapServers + ": " + e.getMessage());
        }
        if (partitions == null || partitions.isEmpty()) {
            throw new ConsumerException("no topic " + options.topic + " at " + options.bootstrapServers);
        }
    }

    /** Where to start in assigned partitions, and how long no record has arrived. */
    private static final class Assignment implements ConsumerRebalanceListener {
        private final KafkaConsumer<?, ?> consumer;
        private final Store store;
        private Long lastActivity; // null until partitions are assigned

        Assignment(KafkaConsumer<?, ?> consumer, Store store) {
            this.consumer = consumer;
            this.store = store;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            lastActivity = System.nanoTime();
            var committed = consumer.committed(new HashSet<>(partitions));
            for (TopicPartition partition : partitions) {
                // A new store needs all events, even if the group has committed offsets.
                if (committed.get(partition) == null || store.isEmpty()) {
                    consumer.seekToBeginning(List.of(partition));
                }
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            // Each batch is committed before the next poll, so there is nothing to commit here.
        }

        boolean idleFor(Duration time) {
            return lastActivity != null && System.nanoTime() - lastActivity >= time.toNanos();
        }
    }

    /** The fields of an event that this consumer uses. */
    private record Event(
            String id, String type, String subject, String permission, String sequence, String nextAction) {
        /** The event in a record's value, or null if it is of an unknown type. */
        static Event of(byte[] value) throws UnreadableRecord {
            if (value == null) {
                throw new UnreadableRecord("it has no value");
            }
            JsonNode json = json(value, 0, value.length);
            if (!json.isObject()) {
                throw new UnreadableRecord("it is not a JSON object");
            }
            if (!"1.0".equals(json.path("specversion").textValue())) {
                throw new UnreadableRecord("its specversion is " + json.path("specversion") + ", not \"1.0\"");
            }
            String type = text(json, "type");
            Matcher known = TYPE.matcher(type);
            if (!known.matches() || !EVENTS.contains(known.group(1))) {
                return null;
            }
            String sequence = text(json, "sequence");
            if (!SEQUENCE.matcher(sequence).matches()) {
                throw new UnreadableRecord("its sequence is '" + sequence + "', not 20 digits");
            }
            if (!json.path("data").isObject()) {
                throw new UnreadableRecord("it has no data");
            }
            // Not every event has it.
            JsonNode code = json.path("data").path("nextAction").path("code");
            return new Event(text(json, "id"), type, text(json, "subject"), text(json, "partitionkey"), sequence,
                code.isTextual() ? code.textValue() : null);
        }

        private static JsonNode json(byte[] bytes, int from, int length) throws UnreadableRecord {
            try {
                return JSON.readTree(bytes, from, length);
            } catch (JsonProcessingException e) {
                throw new UnreadableRecord("it is not JSON: " + e.getOriginalMessage());
            } catch (IOException e) {
                throw new UnreadableRecord("it is not JSON: " + e.getMessage());
            }
        }

        private static String text(JsonNode json, String name) throws UnreadableRecord {
            JsonNode field = json.path(name);
            if (!field.isTextual() || field.textValue().isEmpty()) {
                throw new UnreadableRecord("it has no " + name);
            }
            return field.textValue();
        }

        String line() {
            return type + " " + subject + " " + sequence + (nextAction == null ? "" : " " + nextAction);
        }
    }

    /** A file with one JSON line per applied event. One process at a time. */
    private static final class Store implements AutoCloseable {
        private final FileChannel file;
        // An id must be kept for as long as the topic keeps its records (90 days).
        private final Set<String> seen = new HashSet<>();
        private final Map<String, String> lastSequences = new HashMap<>();

        Store(Path path) throws IOException, ConsumerException {
            try {
                file = FileChannel.open(path,
                    StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
                lock(path);
                load(path);
            } catch (IOException e) {
                throw new ConsumerException("cannot use the store " + path + ": " + e);
            }
        }

        private void lock(Path path) throws IOException, ConsumerException {
            try {
                if (file.tryLock() != null) {
                    return;
                }
            } catch (OverlappingFileLockException e) {
                // Reported below.
            }
            throw new ConsumerException("the store " + path + " is in use by another process");
        }

        private void load(Path path) throws IOException, ConsumerException {
            // Do not use Files here: closing another descriptor of the file would release its lock.
            byte[] bytes = Channels.newInputStream(file).readAllBytes();
            int begin = 0;
            for (int end = 0, line = 1; end < bytes.length; end++) {
                if (bytes[end] != '\n') {
                    continue;
                }
                try {
                    JsonNode json = Event.json(bytes, begin, end - begin);
                    remember(Event.text(json, "id"), Event.text(json, "permission"), Event.text(json, "sequence"));
                } catch (UnreadableRecord e) {
                    throw new ConsumerException(
                        "cannot read line " + line + " of the store " + path + ": " + e.getMessage());
                }
                begin = end + 1;
                line++;
            }
            // A crash can leave an incomplete line. Its offset was not committed, so the event is read again.
            file.truncate(begin);
            file.position(begin);
            syncFolder(path);
        }

        /** A new file is durable only if its folder is synced too. Windows does so itself and rejects the call. */
        private static void syncFolder(Path path) throws IOException {
            if (File.separatorChar == '/') {
                try (FileChannel folder = FileChannel.open(path.toAbsolutePath().getParent())) {
                    folder.force(true);
                }
            }
        }

        boolean isEmpty() {
            return seen.isEmpty();
        }

        /** Applies the event if it is new. Durable after the next {@link #sync}. */
        boolean apply(Event event) throws IOException {
            // A sequence has 20 digits and may exceed a long. Text of fixed length sorts like the number.
            String last = lastSequences.get(event.permission());
            if (last != null && event.sequence().compareTo(last) <= 0) {
                return false; // late: a newer event was already applied
            }
            if (seen.contains(event.id())) {
                return false; // the same fact, published again
            }
            ByteBuffer line = ByteBuffer.wrap((JSON.writeValueAsString(event) + "\n").getBytes(StandardCharsets.UTF_8));
            while (line.hasRemaining()) {
                file.write(line);
            }
            remember(event.id(), event.permission(), event.sequence());
            return true;
        }

        private void remember(String id, String permission, String sequence) {
            seen.add(id);
            lastSequences.put(permission, sequence);
        }

        void sync() throws IOException {
            file.force(false);
        }

        @Override
        public void close() throws IOException {
            file.close();
        }
    }

    private static final class Options {
        private String bootstrapServers;
        private String topic = "amazonpay.events.v1";
        private String group;
        private Path store;
        private Duration untilIdle;
        private final Map<String, Object> properties = new HashMap<>();

        /** Null if --help was given. */
        static Options of(String[] args) throws WrongArgument {
            Options options = new Options();
            for (int i = 0; i < args.length; i += 2) {
                if (args[i].equals("--help") || args[i].equals("-h")) {
                    return null;
                }
                String value = i + 1 < args.length ? args[i + 1] : "";
                switch (args[i]) {
                    case "--bootstrap-servers" -> options.bootstrapServers = value;
                    case "--topic" -> options.topic = value;
                    case "--group" -> options.group = value;
                    case "--store" -> options.store = Path.of(value);
                    case "--until-idle" -> options.untilIdle = seconds(value);
                    case "--property" -> options.put(value);
                    default -> throw new WrongArgument("unknown argument '" + args[i] + "'");
                }
                if (value.isEmpty()) {
                    throw new WrongArgument(args[i] + " needs a value");
                }
            }
            need(options.bootstrapServers, "--bootstrap-servers");
            need(options.group, "--group");
            need(options.store, "--store");
            return options;
        }

        private static void need(Object value, String name) throws WrongArgument {
            if (value == null) {
                throw new WrongArgument(name + " is missing");
            }
        }

        private static Duration seconds(String text) throws WrongArgument {
            try {
                double value = Double.parseDouble(text);
                if (value > 0 && value < 1e9) {
                    return Duration.ofMillis((long) Math.ceil(value * 1000));
                }
            } catch (NumberFormatException e) {
                // Reported below.
            }
            throw new WrongArgument("--until-idle: '" + text + "' is not a number of seconds above 0");
        }

        private void put(String text) throws WrongArgument {
            int equals = text.indexOf('=');
            if (equals < 1) {
                throw new WrongArgument("--property: '" + text + "' is not NAME=VALUE");
            }
            String name = text.substring(0, equals);
            if (FIXED.containsKey(name) || name.equals("bootstrap.servers") || name.equals("group.id")) {
                throw new WrongArgument("--property: " + name + " is set by this program");
            }
            properties.put(name, text.substring(equals + 1));
        }
    }

    /** A record that the receiver cannot have written. */
    private static final class UnreadableRecord extends Exception {
        UnreadableRecord(String what) {
            super(what);
        }
    }

    /** An error that stops the consumer, as one sentence for the operator. */
    private static final class ConsumerException extends Exception {
        ConsumerException(String what) {
            super(what);
        }
    }

    private static final class WrongArgument extends Exception {
        WrongArgument(String what) {
            super(what);
        }
    }
}
