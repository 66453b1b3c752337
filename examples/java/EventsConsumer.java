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
 * Applies the events of ipn-receiver to a local file: each once, in order, through crashes.
 *
 * <p>The effects come first, then the offsets. After a crash between the two, records come again, and the store tells
 * that they are done. Put your own work, and your own database, in the place of {@link Store}.
 */
public final class EventsConsumer {
    private static final String USAGE = """
        usage: EventsConsumer --bootstrap-servers HOST:PORT,... --group GROUP --store FILE [option...]

        Applies the events of ipn-receiver to a file, each once and in order, and prints them.

          --bootstrap-servers HOST:PORT,...  where Kafka is
          --topic TOPIC                      topic of the events (default: amazonpay.events.v1)
          --group GROUP                      consumer group
          --store FILE                       one JSON line for each applied event; made if it is not there
          --until-idle SECONDS               leave when no record came for this long
          --property NAME=VALUE              any other property of the Kafka consumer, such as
                                             security.protocol=SSL; may be given again
          --help                             this text

        Exit code: 0 after SIGINT, SIGTERM or --until-idle, 1 when it cannot go on, 2 for wrong arguments.
        """;

    /** What this consumer knows. Others may be added at any time, they are passed over. */
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

    /** What "once, in order" rests on. */
    private static final Map<String, Object> FIXED = Map.of(
        "isolation.level", "read_committed", // what the receiver did not commit did not happen
        "enable.auto.commit", "false", // offsets go after the effects
        "auto.offset.reset", "none", // a gap must not be jumped silently
        "allow.auto.create.topics", "false",
        "key.deserializer", ByteArrayDeserializer.class.getName(),
        "value.deserializer", ByteArrayDeserializer.class.getName());

    private static final ObjectMapper JSON =
        new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private static volatile boolean stopping;

    public static void main(String[] args) {
        // Where slf4j-simple is the logger, warnings are enough.
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
            // A clean end after a signal is not an error, but the JVM alone would leave with 130 or 143.
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
            System.err.println("EventsConsumer: " + e.getMessage() + " (--help tells more)");
            return 2;
        } catch (Trouble e) {
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

    private static void consume(Options options, Store store) throws IOException, Trouble {
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
                Trouble trouble = null;
                List<String> lines = new ArrayList<>();
                Map<TopicPartition, OffsetAndMetadata> next = new HashMap<>();
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    try {
                        Event event = Event.of(record.value());
                        if (event != null && store.apply(event)) {
                            lines.add(event.line());
                        }
                    } catch (Unreadable e) {
                        // What came before it is finished below.
                        trouble = new Trouble("cannot read the record at " + record.topic() + " partition "
                            + record.partition() + " offset " + record.offset() + ": " + e.getMessage()
                            + "; nothing after it was applied");
                        break;
                    }
                    next.put(new TopicPartition(record.topic(), record.partition()),
                        new OffsetAndMetadata(record.offset() + 1));
                }
                store.sync();
                lines.forEach(System.out::println);
                commit(consumer, next);
                if (trouble != null) {
                    throw trouble;
                }
                assignment.heard = System.nanoTime();
            }
        } catch (OffsetOutOfRangeException e) {
            throw new Trouble("the records that come next are no longer in Kafka, so events are lost: "
                + e.offsetOutOfRangePartitions() + "; to go on with what is left, stop every member and run"
                + " kafka-consumer-groups.sh --group " + options.group + " --topic " + options.topic
                + " --reset-offsets --to-earliest --execute");
        }
    }

    private static void commit(KafkaConsumer<?, ?> consumer, Map<TopicPartition, OffsetAndMetadata> next) {
        try {
            consumer.commitSync(next);
        } catch (RebalanceInProgressException | CommitFailedException e) {
            // The partitions are being given out anew. The records come again, and the store knows them.
            System.err.println("EventsConsumer: offsets not committed: " + e.getMessage());
        }
    }

    /** Without this a wrong address or name would look like silence. */
    private static void checkTopic(KafkaConsumer<?, ?> consumer, Options options) throws Trouble {
        List<?> partitions;
        try {
            partitions = consumer.partitionsFor(options.topic, Duration.ofSeconds(10));
        } catch (TimeoutException e) {
            throw new Trouble("no answer from Kafka at " + options.bootstrapServers + ": " + e.getMessage());
        }
        if (partitions == null || partitions.isEmpty()) {
            throw new Trouble("there is no topic " + options.topic + " at " + options.bootstrapServers);
        }
    }

    /** Where to begin in partitions that were given to us, and since when nothing came from them. */
    private static final class Assignment implements ConsumerRebalanceListener {
        private final KafkaConsumer<?, ?> consumer;
        private final Store store;
        private Long heard; // nothing can come before partitions are assigned

        Assignment(KafkaConsumer<?, ?> consumer, Store store) {
            this.consumer = consumer;
            this.store = store;
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            heard = System.nanoTime();
            var committed = consumer.committed(new HashSet<>(partitions));
            for (TopicPartition partition : partitions) {
                // A new store needs all there is, whatever the group has read before.
                if (committed.get(partition) == null || store.isEmpty()) {
                    consumer.seekToBeginning(List.of(partition));
                }
            }
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            // Each batch is finished before the next poll, so nothing is left to commit.
        }

        boolean idleFor(Duration time) {
            return heard != null && System.nanoTime() - heard >= time.toNanos();
        }
    }

    /** What this consumer needs of an event. */
    private record Event(
            String id, String type, String subject, String permission, String sequence, String nextAction) {
        /** The event in a record's value, or null if it is of an unknown type. */
        static Event of(byte[] value) throws Unreadable {
            if (value == null) {
                throw new Unreadable("it has no value");
            }
            JsonNode json = json(value, 0, value.length);
            if (!json.isObject()) {
                throw new Unreadable("it is not a JSON object");
            }
            if (!"1.0".equals(json.path("specversion").textValue())) {
                throw new Unreadable("its specversion is " + json.path("specversion") + ", not \"1.0\"");
            }
            String type = text(json, "type");
            Matcher known = TYPE.matcher(type);
            if (!known.matches() || !EVENTS.contains(known.group(1))) {
                return null;
            }
            String sequence = text(json, "sequence");
            if (!SEQUENCE.matcher(sequence).matches()) {
                throw new Unreadable("its sequence is '" + sequence + "', not 20 digits");
            }
            if (!json.path("data").isObject()) {
                throw new Unreadable("it has no data");
            }
            // Not every event has it.
            JsonNode code = json.path("data").path("nextAction").path("code");
            return new Event(text(json, "id"), type, text(json, "subject"), text(json, "partitionkey"), sequence,
                code.isTextual() ? code.textValue() : null);
        }

        private static JsonNode json(byte[] bytes, int from, int length) throws Unreadable {
            try {
                return JSON.readTree(bytes, from, length);
            } catch (JsonProcessingException e) {
                throw new Unreadable("it is not JSON: " + e.getOriginalMessage());
            } catch (IOException e) {
                throw new Unreadable("it is not JSON: " + e.getMessage());
            }
        }

        private static String text(JsonNode json, String name) throws Unreadable {
            JsonNode field = json.path(name);
            if (!field.isTextual() || field.textValue().isEmpty()) {
                throw new Unreadable("it has no " + name);
            }
            return field.textValue();
        }

        String line() {
            return type + " " + subject + " " + sequence + (nextAction == null ? "" : " " + nextAction);
        }
    }

    /** The applied events in a file, one JSON line each. One process at a time. */
    private static final class Store implements AutoCloseable {
        private final FileChannel file;
        // An id must be kept for as long as the topic keeps its records (90 days).
        private final Set<String> seen = new HashSet<>();
        private final Map<String, String> lastSequences = new HashMap<>();

        Store(Path path) throws IOException, Trouble {
            try {
                file = FileChannel.open(path,
                    StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
                lock(path);
                load(path);
            } catch (IOException e) {
                throw new Trouble("cannot use the store " + path + ": " + e);
            }
        }

        private void lock(Path path) throws IOException, Trouble {
            try {
                if (file.tryLock() != null) {
                    return;
                }
            } catch (OverlappingFileLockException e) {
                // Said below.
            }
            throw new Trouble("the store " + path + " is in use by another process");
        }

        private void load(Path path) throws IOException, Trouble {
            // Not with Files: to close another descriptor of the file would let go of its lock.
            byte[] bytes = Channels.newInputStream(file).readAllBytes();
            int begin = 0;
            for (int end = 0, line = 1; end < bytes.length; end++) {
                if (bytes[end] != '\n') {
                    continue;
                }
                try {
                    JsonNode json = Event.json(bytes, begin, end - begin);
                    remember(Event.text(json, "id"), Event.text(json, "permission"), Event.text(json, "sequence"));
                } catch (Unreadable e) {
                    throw new Trouble("cannot read line " + line + " of the store " + path + ": " + e.getMessage());
                }
                begin = end + 1;
                line++;
            }
            // A crash can leave half a line. Its offset was not committed, so its event comes again.
            file.truncate(begin);
            file.position(begin);
            syncFolder(path);
        }

        /** A new file is safe only when its folder is, too. Windows does that by itself, and would refuse. */
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

        /** Applies the event if it is new; lasting after the next {@link #sync}. */
        boolean apply(Event event) throws IOException {
            // As text of one length a sequence sorts as it counts; it outgrows a long.
            String last = lastSequences.get(event.permission());
            if (last != null && event.sequence().compareTo(last) <= 0) {
                return false; // late: what is newer has been applied
            }
            if (seen.contains(event.id())) {
                return false; // the same fact, told again
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

        /** Null if help is asked for. */
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
                // Said below.
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

    /** A record that is not what the receiver writes. */
    private static final class Unreadable extends Exception {
        Unreadable(String what) {
            super(what);
        }
    }

    /** Why the consumer cannot go on, in a sentence for whoever runs it. */
    private static final class Trouble extends Exception {
        Trouble(String what) {
            super(what);
        }
    }

    private static final class WrongArgument extends Exception {
        WrongArgument(String what) {
            super(what);
        }
    }
}
