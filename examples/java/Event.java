import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The fields of an event that this consumer uses. A field that the event may lack is null. */
record Event(
        String id, String source, String type, String subject, String permission, String sequence, String time,
        String objectType, String state, String nextAction) {
    /** The known event types. Releases may add types at any time; the consumer skips unknown ones. */
    private static final Set<String> EVENTS = Set.of(
        "PermissionChargeable", "PermissionNonChargeable", "PermissionClosed", "PaymentMethodUpdated",
        "PermissionUpdated", "PermissionExpiring", "PermissionLimitNear", "PermissionStateUnrecognized",
        "ChargeAuthorizationInitiated", "ChargeAuthorized", "ChargeCaptureInitiated", "ChargeCaptured",
        "ChargeDeclined", "ChargeCanceled", "ChargeUpdated", "ChargebackReported",
        "ChargeStateUnrecognized",
        "RefundInitiated", "RefundCompleted", "RefundDeclined", "RefundStateUnrecognized",
        "DisputeUnderReview", "DisputeActionRequired", "DisputeResolved", "DisputeClosed",
        "DisputeDeadlineNear", "DisputeStateUnrecognized");

    private static final Pattern TYPE = Pattern.compile(".+\\.([A-Za-z]+)\\.v1"); // the prefix is a setting
    private static final Pattern SEQUENCE = Pattern.compile("[0-9]{20}");
    static final ObjectMapper JSON = new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

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
        JsonNode data = json.path("data");
        return new Event(text(json, "id"), text(json, "source"), type, text(json, "subject"), text(json, "partitionkey"),
            sequence, json.path("time").textValue(), data.path("objectType").textValue(),
            data.path("state").textValue(), data.path("nextAction").path("code").textValue());
    }

    /** The event in a line of the store. */
    static Event stored(JsonNode json) throws UnreadableRecord {
        return new Event(text(json, "id"), text(json, "source"), text(json, "type"), text(json, "subject"),
            text(json, "permission"), text(json, "sequence"), json.path("time").textValue(),
            json.path("objectType").textValue(), json.path("state").textValue(), json.path("nextAction").textValue());
    }

    static JsonNode json(byte[] bytes, int from, int length) throws UnreadableRecord {
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

    /** The event type without prefix and version. */
    String name() {
        Matcher known = TYPE.matcher(type);
        return known.matches() ? known.group(1) : "";
    }

    String line() {
        return type + " " + subject + " " + sequence + (nextAction == null ? "" : " " + nextAction);
    }

    /** A record that the receiver cannot have written. */
    static final class UnreadableRecord extends Exception {
        UnreadableRecord(String what) {
            super(what);
        }
    }
}
