//! The parts of `docs/events.md` about the order and the delay of events.

pub(super) const TIMING: &str = r"
## A declined charge and its permission

A charge and its permission are two objects, so their events come in any order. `nextAction` always takes the last known state of both into
account:

| what happens | events, in this or another order | your part |
|---|---|---|
| the card fails, the buyer fixes it | `ChargeDeclined` and `PermissionNonChargeable` (ask the buyer); later `PermissionChargeable` (`RETRY_CHARGE`) and `PaymentMethodUpdated` (`NONE`) | one mail, one new charge |
| the buyer fixes it before the receiver reads the permission | `ChargeDeclined` (ask the buyer), then `PermissionChargeable` (`RETRY_CHARGE`), although `previousState` is `Chargeable`, too | one new charge |
| the same, and the permission is read first | `ChargeDeclined` with `RETRY_CHARGE_AFTER_PERMISSION_CHECK` | check, then one new charge |
| the card fails softly, the permission stays Chargeable, the buyer changes the card | `ChargeDeclined`, then `PaymentMethodUpdated` (`RETRY_CHARGE`) | one new charge |
| the permission is closed before the decline is read | `PermissionClosed`, then `ChargeDeclined` with `REENGAGE_BUYER_WITH_NEW_CHECKOUT` or `OPEN_SETUP_PAGE` | no retry |

After an event that advises to wait, an event with `RETRY_CHARGE` follows as soon as the receiver reads that the permission is Chargeable and
newer than the decline. It does not follow if a later charge of the permission went through, or if the permission is closed. One act of the
buyer, such as a new card, causes one `RETRY_CHARGE`, even if Amazon sends several IPNs for it.

## When an event comes, and how late

| case | delay after the change |
|---|---|
| Amazon sends an IPN, and the Amazon Pay API shows the change | a few seconds |
| the API shows the change later than the IPN | the object is read again about 0.5, 2, 10 and 60 minutes after the IPN (`worker.confirm_reads_after_ms`) |
| `PaymentMethodUpdated` with the evidence `attribute_change` | 30 to 45 seconds, so that a visible change can explain the IPN first |
| a refund, dispute or charge whose parent object cannot be read | two minutes more (`worker.parent_wait_max_ms`) |
| many objects changed at once, or an outage ended | as long as Amazon's quota needs: by default 3.2 objects a second and type. Permissions and disputes do not wait for charges |
| no IPN arrives | the next periodic read of the object: an hour to a week, see [quota-and-reconciliation.md](quota-and-reconciliation.md) |

An event is never withdrawn. A change that was undone between two reads (for example Chargeable, NonChargeable, Chargeable) has no event of
its own, unless a decline waits for it, as above.
";
