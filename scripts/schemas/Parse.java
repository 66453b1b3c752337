import com.example.amazonpay.ChargeDeclined;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;

/** Parses every fixture with the generated class of its type, and compares what it holds with the JSON. */
final class Parse {
    private static final ObjectMapper JSON = new ObjectMapper()
        .registerModule(new JavaTimeModule())
        .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
        // The fixtures have no field that the classes lack.
        .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    public static void main(String[] arguments) throws Exception {
        var types = new TreeSet<String>();
        List<Path> files;
        try (var listed = Files.list(Path.of(arguments[0]))) {
            files = listed.sorted(Comparator.naturalOrder()).toList();
        }
        for (Path file : files) {
            JsonNode event = JSON.readTree(file.toFile());
            String name = event.path("type").textValue().split("\\.")[1];
            Object parsed = JSON.treeToValue(event, Class.forName("com.example.amazonpay." + name));
            check(event, JSON.valueToTree(parsed), file + " ");
            types.add(name);
            if (parsed instanceof ChargeDeclined declined) {
                String code = declined.getData().getNextAction().getCode();
                String amount = declined.getData().getSnapshot().getChargeAmount().getAmount();
                if (code.isEmpty() || amount.isEmpty()) {
                    throw new AssertionError(file);
                }
            }
        }
        System.out.println("Java: " + files.size() + " fixtures of " + types.size() + " types parsed");
    }

    /** Everything in the event must be in what was parsed. Times may be written in another form. */
    private static void check(JsonNode event, JsonNode parsed, String at) {
        if (event.isObject()) {
            event.properties().forEach(field -> check(field.getValue(), parsed.path(field.getKey()), at + "/" + field.getKey()));
        } else if (event.isArray()) {
            for (int n = 0; n < event.size(); n++) {
                check(event.get(n), parsed.path(n), at + "/" + n);
            }
        } else if (!event.equals(parsed) && !(event.isNull() && parsed.isMissingNode()) && !isSameTime(event, parsed)) {
            throw new AssertionError(at + " is " + event + " and was parsed as " + parsed);
        }
    }

    private static boolean isSameTime(JsonNode one, JsonNode other) {
        try {
            return java.time.OffsetDateTime.parse(one.textValue()).equals(java.time.OffsetDateTime.parse(other.textValue()));
        } catch (RuntimeException e) {
            return false;
        }
    }
}
