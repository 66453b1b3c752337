import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The arguments of the command line. */
final class Options {
    static final String USAGE = """
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

    /** Settings that "once and in order" depends on. */
    static final Map<String, Object> FIXED = Map.of(
        "isolation.level", "read_committed", // skip records of aborted transactions
        "enable.auto.commit", "false", // offsets are committed after the effects are stored
        "auto.offset.reset", "none", // never skip a gap silently
        "allow.auto.create.topics", "false",
        "key.deserializer", ByteArrayDeserializer.class.getName(),
        "value.deserializer", ByteArrayDeserializer.class.getName());

    String bootstrapServers;
    String topic = "amazonpay.events.v1";
    String group;
    Path store;
    Duration untilIdle;
    final Map<String, Object> properties = new HashMap<>();

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

    static final class WrongArgument extends Exception {
        WrongArgument(String what) {
            super(what);
        }
    }
}
