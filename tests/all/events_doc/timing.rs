//! The parts of `docs/events.md` about the order and the delay of events.

pub(super) const TIMING: &str = r#"
## A declined charge and its permission

A charge and its permission are two objects, and the receiver may read and publish them in either order. All consumers see the order in
which they were published. `nextAction` always takes the last known state of both into account. "Asks" stands for a code that allows a
mail (see [May I ship, retry, mail?](#may-i-ship-retry-mail)):

| what happens | the charge is read first | the permission is read first | your part |
|---|---|---|---|
| the card fails (`HardDeclined`), later the buyer fixes it | `ChargeDeclined` asks, `PermissionNonChargeable` asks, later `PermissionChargeable` (`RETRY_CHARGE`) and `PaymentMethodUpdated` (`NONE`) | `PermissionNonChargeable` asks, `ChargeDeclined` asks, later the same | one mail, one new charge |
| the same with `SoftDeclined` or `ProcessingFailure` | `ChargeDeclined` (`RETRY_CHARGE_AFTER_PERMISSION_CHECK`), `PermissionNonChargeable` asks, later the same | `PermissionNonChargeable` asks, `ChargeDeclined` asks, later the same | the check finds that the permission is not Chargeable; one mail, one new charge |
| the buyer fixes it before the receiver reads the permission | `ChargeDeclined` asks, then `PermissionChargeable` (`RETRY_CHARGE`), although `previousState` is `Chargeable`, too | no event of the permission, or `PermissionChargeable`; then `ChargeDeclined` (`RETRY_CHARGE_AFTER_PERMISSION_CHECK`) | a mail in the first case only; one new charge |
| the card fails softly, the permission stays Chargeable, the buyer changes the card | `ChargeDeclined` (`RETRY_CHARGE_AFTER_PERMISSION_CHECK`), then `PaymentMethodUpdated` (`RETRY_CHARGE`) | the same | the check allows a new charge at once; if that fails, too, another one after `RETRY_CHARGE` |
| the permission is closed | `ChargeDeclined` asks, then `PermissionClosed` | `PermissionClosed`, then `ChargeDeclined` with `REENGAGE_BUYER_WITH_NEW_CHECKOUT` or `OPEN_SETUP_PAGE` | no retry; a mail for the closing if its code asks, in the first case after the mail for the decline |
| Amazon's limit for the month is used up | `ChargeDeclined` asks, `PermissionNonChargeable` (`WAIT_FOR_NEXT_PERIOD`) | `PermissionNonChargeable` (`WAIT_FOR_NEXT_PERIOD`), `ChargeDeclined` asks | a mail in the first case only; after `RETRY_CHARGE` one new charge |

After an event that advises to wait for `RETRY_CHARGE`, an event with that code follows as soon as the receiver reads that the permission
is Chargeable and newer than the decline: seconds after Amazon's IPN, or without an IPN at the next periodic read (by
default 10 hours to 8 days after the last one). It does not follow

- if the permission is closed;
- if a later charge of the permission went through. The permission then works: if another payment is still due, create its charge;
- if a check (`RETRY_CHARGE_AFTER_PERMISSION_CHECK`) can find the permission Chargeable. Create the charges that are due then, also those of
  earlier declines.

One act of the buyer, such as a new card, causes one `RETRY_CHARGE`, even if Amazon sends several IPNs for it within 10 minutes.

## When an event comes, and how late

| case | delay after the change |
|---|---|
| Amazon sends an IPN, and the Amazon Pay API shows the change | a few seconds after the IPN |
| the API shows the change later than the IPN | the object is read again about 0.5, 2, 10 and 60 minutes after the IPN (`worker.confirm_reads_after_ms`) |
| `PaymentMethodUpdated` with the evidence `attribute_change` | 30 to 45 seconds, so that a visible change can explain the IPN first |
| a refund, dispute or charge whose parent object cannot be read | two minutes more (`worker.parent_wait_max_ms`) |
| many objects changed at once, or an outage ended | as long as Amazon's quota needs: by default 3.2 objects a second and type. Permissions and disputes do not wait for charges |
| no IPN arrives | until the next periodic read of the object: by default 1 hour to 8 days, see [quota-and-reconciliation.md](quota-and-reconciliation.md) |

An event is never withdrawn. A change that was undone between two reads (for example Chargeable, NonChargeable, Chargeable) has no event of
its own, unless a decline waits for it, as above.
"#;
