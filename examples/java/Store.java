import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** A file with one JSON line per applied event. One process at a time. */
final class Store implements AutoCloseable {
    private final FileChannel file;
    // An id must be kept for as long as the topic keeps its records (90 days).
    private final Set<String> seen = new HashSet<>();
    private final Map<String, String> lastSequences = new HashMap<>();
    private final Map<String, Problem> problems = new HashMap<>();

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
                remember(Event.stored(Event.json(bytes, begin, end - begin)));
            } catch (Event.UnreadableRecord e) {
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

    /**
     * Applies the event if it is new. Durable after the next {@link #sync}. The field "task" of the line says what is due
     * outside the store: do it later, and note that it is done.
     */
    boolean apply(Event event) throws IOException {
        // A sequence has 20 digits and may exceed a long. Text of fixed length sorts like the number.
        String last = lastSequences.get(event.permission());
        if (last != null && event.sequence().compareTo(last) <= 0) {
            return false; // late: a newer event was already applied
        }
        if (seen.contains(event.id())) {
            return false; // the same fact, published again
        }
        Problem.Task task = Problem.next(problems.get(event.permission()), event).task();
        ObjectNode json = Event.JSON.valueToTree(event);
        if (task != Problem.Task.NONE) {
            json.put("task", task.name().toLowerCase(Locale.ROOT));
        }
        ByteBuffer line = ByteBuffer.wrap((json + "\n").getBytes(StandardCharsets.UTF_8));
        while (line.hasRemaining()) {
            file.write(line);
        }
        remember(event);
        return true;
    }

    private void remember(Event event) {
        seen.add(event.id());
        lastSequences.put(event.permission(), event.sequence());
        Problem problem = Problem.next(problems.get(event.permission()), event).problem();
        if (problem == null) {
            problems.remove(event.permission());
        } else {
            problems.put(event.permission(), problem);
        }
    }

    void sync() throws IOException {
        file.force(false);
    }

    @Override
    public void close() throws IOException {
        file.close();
    }
}
