import java.util.Set;

/**
 * What the buyer was asked about a charge permission. A decline has two events, in either order, but needs one mail: see
 * "May I ship, retry, mail?" in docs/events.md.
 *
 * @param asked the code of the mail; or WAIT_FOR_NEXT_PERIOD, which needs none
 * @param askedAt the newest time of an event that asks, or empty
 * @param closed the permission is closed: the problem never ends
 */
record Problem(String asked, String askedAt, boolean closed) {
    /** What is due outside the store after an event. */
    enum Task {
        NONE,
        /** Mail the buyer. */
        MAIL,
        /** Create a charge for each payment that is due. */
        RETRY,
        /** Read the permission from Amazon Pay. If it is Chargeable, create a charge for each payment that is due. */
        CHECK
    }

    /** The problem after an event, or null, and what to do. */
    record Step(Problem problem, Task task) {}

    private static final Set<String> NEW_CHECKOUT = Set.of(
        "REENGAGE_BUYER_WITH_NEW_CHECKOUT", "OPEN_SETUP_PAGE", "REACH_OUT_BEFORE_NEXT_CYCLE");
    private static final Set<String> NEW_PAYMENT_METHOD = Set.of(
        "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD", "ASK_FOR_OTHER_PAYMENT_METHOD", "OPEN_UPDATE_PAGE",
        "VERIFY_AMOUNT_WITH_BUYER");
    private static final Set<String> WENT_THROUGH = Set.of("Authorized", "CaptureInitiated", "Captured");

    /** The problem is null if there is none. */
    static Step next(Problem problem, Event event) {
        String code = event.nextAction() == null ? "" : event.nextAction();
        // Texts of one form: they sort like the times.
        String time = event.time() == null ? "" : event.time();
        boolean asks = NEW_CHECKOUT.contains(code) || NEW_PAYMENT_METHOD.contains(code);
        if (!event.source().endsWith("/live") || (problem != null && problem.closed)) {
            return new Step(problem, Task.NONE);
        }
        if (event.name().equals("PermissionClosed")) {
            boolean isAsked = problem != null && NEW_CHECKOUT.contains(problem.asked);
            return asks
                ? new Step(new Problem(code, time, true), isAsked ? Task.NONE : Task.MAIL)
                : new Step(null, Task.NONE);
        }
        switch (code) {
            case "RETRY_CHARGE":
                return new Step(null, Task.RETRY);
            case "RETRY_CHARGE_AFTER_PERMISSION_CHECK":
                return new Step(problem, Task.CHECK);
            case "RENEW_BEFORE_EXPIRY":
                // A reminder, whether there is a problem or not.
                return new Step(problem, Task.MAIL);
            default:
        }
        if ("Charge".equals(event.objectType()) && event.state() != null && WENT_THROUGH.contains(event.state())) {
            boolean isLater =
                problem != null && !problem.askedAt.isEmpty() && problem.askedAt.compareTo(time) < 0;
            return new Step(isLater ? null : problem, Task.NONE);
        }
        boolean waits = code.equals("WAIT_FOR_NEXT_PERIOD");
        if (!asks && !waits) {
            return new Step(problem, Task.NONE);
        }
        if (problem == null) {
            return new Step(new Problem(code, time, false), asks ? Task.MAIL : Task.NONE);
        }
        String askedAt = problem.askedAt.compareTo(time) < 0 ? time : problem.askedAt;
        // While the limit of the month is used up, only the permission itself can have another problem.
        if (problem.asked.equals("WAIT_FOR_NEXT_PERIOD") && asks && "ChargePermission".equals(event.objectType())) {
            return new Step(new Problem(code, askedAt, false), Task.MAIL);
        }
        return new Step(new Problem(problem.asked, askedAt, false), Task.NONE);
    }
}
