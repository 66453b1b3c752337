/** An error that stops the consumer, as one sentence for the operator. */
final class ConsumerException extends Exception {
    ConsumerException(String what) {
        super(what);
    }
}
