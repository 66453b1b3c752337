import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
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

/**
 * Applies the events of ipn-receiver to a local file: each event once and in order, also after crashes.
 *
 * <p>The consumer stores the effects first and commits the offsets afterwards. After a crash in between, it reads the
 * records again and the store recognizes them. Replace {@link Store} with your own work and your own database.
 */
public final class EventsConsumer {
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
                System.out.print(Options.USAGE);
                return 0;
            }
            try (Store store = new Store(options.store)) {
                consume(options, store);
            }
            return 0;
        } catch (Options.WrongArgument e) {
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
        properties.putAll(Options.FIXED);
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
                    } catch (Event.UnreadableRecord e) {
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
}
