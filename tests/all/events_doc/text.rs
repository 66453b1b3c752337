//! The hand-written parts of `docs/events.md`.

use ipn_receiver::domain::events::EventType;

pub(super) const INTRODUCTION: &str = r"# Events

This page is for developers whose services consume the events of ipn-receiver, and for the people who must act on them. It lists
every event: when it is published, what it means, what it does not mean, and what to do next.

It is generated from the code by `tests/all/events_doc.rs`; do not edit it. [Schemas and generated code](#schemas-and-generated-code)
says what generators can read; [fixtures/](../fixtures) has one event of each type, reason and type of charge permission.

Each event is a CloudEvents 1.0 JSON document in the value of a record on the topic `amazonpay.events.v1`. The record key is the
charge permission id, hashed with murmur2 as by Kafka's Java client. `type` is `amazonpay.<name>.v1`, with a name of the table below. Consumers must set
`isolation.level=read_committed` (the default of Kafka's Java client is `read_uncommitted`). Records are compressed with LZ4, which a few
clients, such as kafkajs, read only with a further package.

";

pub(super) const HOW_TO: &str = r#"
## Next action

`data.nextAction` says what Amazon's guides advise the merchant to do: `code` for programs, `text` for people. The type of the
charge permission decides first, the reasons second. Act once per event `id`.

- When a charge is declined, the charge permission often becomes NonChargeable, too. Each change has its own event with its own
  next action, and the receiver may publish the two events in either order. See
  [A declined charge and its permission](#a-declined-charge-and-its-permission).
- The receiver does not count retries: limit them in your service.
- If one change causes two events, only one has the code `RETRY_CHARGE`: `PermissionChargeable`, or `PaymentMethodUpdated` if the
  permission was Chargeable before, too.
- After `WAIT` the next event comes with Amazon's next IPN. If that IPN is lost, the periodic read finds the change: within 1 to 28 hours
  by default, see [quota-and-reconciliation.md](quota-and-reconciliation.md).
- `url` is present only with `ASK_BUYER_TO_UPDATE_PAYMENT_METHOD`. `deadline` is present only with `RESPOND_TO_DISPUTE`,
  `RENEW_BEFORE_EXPIRY` and `CHARGE_BEFORE_EXPIRY`, in Amazon's
  format (`20260112T000000Z`, UTC). In Europe `url` is by default https://pay.amazon.com/, where the buyer must open the permission.
  Amazon's hosted pages (`OPEN_UPDATE_PAGE`, `OPEN_SETUP_PAGE`) have no URL: your checkout script opens them.

## May I ship, retry, mail?

Do none of the three for an event whose `source` does not end with `/live`.

| question | answer |
|---|---|
| May I ship? | Once for each charge (`subject`), on the first of these events: `ChargeAuthorized` if you capture later; `ChargeCaptured`; `ChargeUpdated` with `firstSight` true and the state `Captured`. On `ChargeAuthorized` with `late` true, and on `ChargeUpdated` with `firstSight` true and the state `Authorized`, read the charge from Amazon Pay first: the authorization may have expired. On no other event, such as `PermissionChargeable`, `RefundDeclined` or `DisputeClosed`. |
| May I create a new charge? | On the code `RETRY_CHARGE`. On `RETRY_CHARGE_AFTER_PERMISSION_CHECK`, if you then read the permission from Amazon Pay and its state is `Chargeable`. Once for each payment that is due. On no other code: `PermissionChargeable` with `NONE` answers no declined charge. |
| May I mail the buyer? | On `ASK_BUYER_TO_UPDATE_PAYMENT_METHOD`, `ASK_FOR_OTHER_PAYMENT_METHOD`, `OPEN_UPDATE_PAGE`, `OPEN_SETUP_PAGE`, `VERIFY_AMOUNT_WITH_BUYER`, `REENGAGE_BUYER_WITH_NEW_CHECKOUT` and `REACH_OUT_BEFORE_NEXT_CYCLE`: once for each problem of the charge permission, as follows. On `RENEW_BEFORE_EXPIRY`: once for each event, whether there is a problem or not. |

**A problem** belongs to a charge permission (`chargePermissionId`):

- It begins with the first event that has one of these codes. Send the mail then. Do not wait for a second event: there may be none.
- While it lasts, send no other mail, whatever later events of the permission and its charges say, and in whatever order they come. If
  a later code differs, change the page behind the mail: the newest event about the permission itself decides.
- It ends with the code `RETRY_CHARGE`. It also ends with an event about a charge of the permission whose state is `Authorized`,
  `CaptureInitiated` or `Captured`, if the `time` of that event is later than the `time` of every event with one of these codes. The next such
  code begins a new problem.
- `PermissionClosed` ends it, too, and begins the last problem if it has one of these codes. Send the mail of the last problem, unless the
  mail before asked for a new checkout already (`REENGAGE_BUYER_WITH_NEW_CHECKOUT`, `OPEN_SETUP_PAGE`). The last problem never ends: a
  `ChargeDeclined` after it causes no mail.
- `WAIT_FOR_NEXT_PERIOD` asks nothing of the buyer, but the declined charge may have the code `REENGAGE_BUYER_WITH_NEW_CHECKOUT`. If the event
  about the permission comes first, send no mail for the charge. If you have sent it already, do nothing more.

[examples/README.md](../examples/README.md) has consumers that follow these rules.

## Schemas and generated code

| file | for |
|---|---|
| [schemas/events.schema.json](../schemas/events.schema.json), or `ipn-receiver schema --bundle` | generators of code, and validators: all events in one JSON Schema (2020-12). The root is `AnyEvent`; `$defs` has each event, its data (`ChargeDeclinedData`), `NextAction`, `Reason`, `Money`, the snapshots and so on |
| `schemas/<name>.schema.json` | generators that make classes of files: each refers to its event in `events.schema.json` |
| `ipn-receiver schema <name>` | a validator of one type: a schema that stands alone |
| [schemas/asyncapi.json](../schemas/asyncapi.json), or `ipn-receiver schema` | AsyncAPI 3 with the events of `fixtures/` as examples. `scripts/docs` renders it as one HTML page |

With `--config receiver.toml` the command prints the schemas with your `events.type_prefix` and `kafka.topic_prefix`. Each event names the
definition of its `data` in the attribute `dataschema`. That URL is a name, the `$id` of `events.schema.json`; nothing answers there.

`scripts/check-schemas` runs these generators in CI, compiles what they write, and parses every event of `fixtures/` with it:

| language | command |
|---|---|
| TypeScript | `json2ts --additionalProperties=false --ignoreMinAndMaxItems -i events.schema.json -o events.ts` (npm: json-schema-to-typescript). `switch (event.type)` then narrows the event: see [examples/typescript](../examples/typescript) |
| Python | `datamodel-codegen --input events.schema.json --input-file-type jsonschema --output-model-type pydantic_v2.BaseModel --target-python-version 3.11 --snake-case-field --capitalise-enum-members --use-annotated --output events.py` (PyPI: datamodel-code-generator). `AnyEvent.model_validate_json(record.value()).root` is then the event |
| Java | the Maven plugin `jsonschema2pojo` over `*.schema.json` with `useTitleAsClassname`: see [scripts/schemas/pom.xml](../scripts/schemas/pom.xml). Have Jackson ignore unknown fields (`FAIL_ON_UNKNOWN_PROPERTIES` off) |

**What may change within v1.** Releases may add types, fields, codes and words, so look at `type` before you parse: `AnyEvent` knows the types
of its version only, and a parser of it rejects later ones. `KnownNextActionCode` and `KnownEvidence` list this version's words; fields
that hold them accept any text. Names of definitions stay, since generated code has them. `Money` has no `currencyCode` if Amazon gives an
amount alone.

## Attributes of the event

| attribute | meaning |
|---|---|
| `id` | identifies the change. The same change always has the same id: skip an id that you have processed |
| `sequence` | 20 digits; increases within one `partitionkey`. Skip an event whose sequence is not greater than the last one that you processed for the same `partitionkey` |
| `source` | `/amazonpay/<merchant id>/<live or sandbox>`. Check it, so that a sandbox event never ships goods |
| `subject` | id of the object |
| `dataschema` | names the definition of `data`: see [Schemas and generated code](#schemas-and-generated-code). Events of early versions lack it |
| `partitionkey` | charge permission id; also the record key |
| `time` | when Amazon last changed the object; the timestamp of the Kafka record is the time of publishing. Absent if Amazon's answer has no readable time |
| `traceparent` | W3C trace context of the newest IPN that led to the event, if there is one |

## Fields of `data`

| field | present | meaning |
|---|---|---|
| `objectType`, `objectId` | always | the object: `ChargePermission`, `Charge`, `Refund` or `Dispute`, and its id |
| `chargePermissionId` | always | the charge permission that the object belongs to |
| `chargePermissionIdSource` | if `IPN` | neither an answer of Amazon Pay nor the known state named the charge permission within `worker.parent_wait_max_ms` (default 2 minutes): the id is the one in the IPN, which SNS signed, and `chargePermissionType` is null unless that permission is known. Later events of the object may carry another id |
| `chargePermissionType` | always, may be null | `OneTime` (an order), `Recurring` (a subscription), `PaymentMethodOnFile` (a saved wallet); null if the permission could not be read: see the column "type not known" below |
| `permissionState`, `permissionReadAt` | charges, refunds, disputes; if known | state of the charge permission when it was last read, and the time of that read |
| `state`, `reasons` | always | Amazon's names; `reasons` may be empty or have several entries |
| `previousState` | always, may be null | the last state that the receiver knew before this event; null if the object was not known |
| `firstSight` | always | true on every event of the first read of an object; a first read can publish two events. A state is **old** if the object reached it before the receiver took charge of the merchant, or before the time for which the receiver keeps closed objects (`worker.forget_after_d`, two years), and more than 24 h before every IPN or recheck that asked for the read. An old state of a permission or charge, except `Closed` and `Declined`, is published as `…Updated`, with the next action that its section gives. Every other state is published under its own type, however late it is found |
| `evidence` | `PaymentMethodUpdated`, `ChargebackReported` | what shows the change: `became_chargeable`, `descriptor_changed`, `billing_address_changed`, `attribute_change`, `chargeback_ipn` |
| `nextAction` | always | see above |
| `snapshot` | always | every other attribute of the object that is not about the buyer, under Amazon's names; amounts are text |
| `causes` | always, may be empty | why the object was read: `IPN` with the SNS `messageId`; `PARENT_READ` because another object needed it; `RECHECK` by an operator; `RECONCILIATION` because the object was due for a read without an IPN: a periodic one, or one at a known date |
| `observedAt` | always | when the object was read; the event's `time` is Amazon's `lastUpdatedTimestamp` |
| `late` | if true | the object reached its state more than 24 h before `observedAt`: it was found after an outage, or is old. It is still true: a late `ChargeCaptured` is a payment to fulfil. Only a late `ChargeAuthorized` may be out of date: read the charge before you ship. Absent from events about attributes |
| `amazonPayRequestId` | if Amazon sent one | `x-amz-pay-request-id` of that read, for Amazon's support |
| `unexpectedTransition` | if true | Amazon does not document that this state can follow the previous state |

Releases within `v1` may add fields, event types and values: ignore those that you do not know.

## Values

Amazon's answers have the same value in several forms. The receiver reads each of them and publishes one:

| value | read | published |
|---|---|---|
| `time` | ISO 8601 in basic or extended form with any offset (none means UTC), or seconds or milliseconds since 1970 | UTC with milliseconds: `2026-01-02T03:04:05.000Z` |
| dates in `snapshot`, `nextAction.deadline` | the same | Amazon's documented form in UTC: `20260102T030405Z` |
| amounts, `conversionRate`, `frequency.value` | text or number | text in plain digits: `"14.00"`; a number loses the zeros at its end: `"14"` |
| `captureNow` and other flags | `true`, or the text `"true"` | `true` or `false` |
| `reasons` | a list, one object, one code, or codes as keys | a list, each code once |
| `state` | the documented word in any case, `Cancelled`, or the words of Amazon's guides (`Completed`, `Pending`) | the documented word; an unknown word unchanged |

A value that cannot be read, such as the time `yesterday`, is left out: without `lastUpdatedTimestamp` an event has no `time`. It is never
replaced by another field. The receiver logs and counts it (`ipn_receiver_unreadable_values_total`).
"#;

/// The misunderstanding that a reader of this event is most likely to have.
pub(super) fn never_means(row: &EventType) -> &'static str {
    match row.name {
        "PermissionChargeable" => "that a charge succeeded, or that a declined charge was retried.",
        "PermissionNonChargeable" => "that the permission is closed. It can become Chargeable again.",
        "PermissionClosed" => {
            "that a payment succeeded, or that the buyer received money back. Amazon closes a OneTime permission after 180 days, and a Recurring permission after 13 months without a charge (reported, not documented by Amazon); an expiry without an IPN is found about 5 minutes after `expirationTimestamp`."
        }
        "PermissionExpiring" => {
            "that the permission cannot be charged now: check `state`. Nor that the date is final: each charge of a Recurring permission may move it, since Amazon closes such a permission after 13 months without a charge (reported, not documented by Amazon). A permission without `expirationTimestamp`, and one that the buyer or Amazon closes early, has no such event before PermissionClosed."
        }
        "PermissionLimitNear" => {
            "that the permission cannot be charged: smaller charges succeed. There may be no such event before the limit is used up, for example if one charge uses all of it."
        }
        "DisputeDeadlineNear" => {
            "that the dispute is lost, or that the deadline is the only one: a further request by Amazon has a deadline of its own. Amazon gives 11 days for a chargeback and 7 days for an A-to-z claim. A response that Amazon has not recorded yet does not stop this event."
        }
        "PaymentMethodUpdated" => "that the permission is Chargeable. Check `state`.",
        "PermissionUpdated" => {
            "that the state changed. If `firstSight` is true, this is the first event of the permission: act on `state` and `nextAction`."
        }
        "ChargeAuthorizationInitiated" => "that the amount is reserved. The authorization can still be declined.",
        "ChargeAuthorized" => "that the buyer has paid. The charge must still be captured.",
        "ChargeCaptureInitiated" => "that the amount was captured. The capture can still be declined.",
        "ChargeCaptured" => "that no refund or dispute can follow.",
        "ChargeDeclined" => {
            "that the charge permission is closed: check the events of the permission. Not every decline has this event. If Amazon declines your Create Charge request in its response, handle the decline there, too: Amazon does not promise an IPN for it."
        }
        "ChargeCanceled" => "that a refund was made.",
        "ChargeUpdated" => {
            "that the state changed. If `firstSight` is true, this is the first event of the charge: act on `state`. For example, if it is `Captured`, the buyer has paid, and no ChargeCaptured event follows."
        }
        "ChargebackReported" => {
            "that the dispute can be read from Amazon Pay: this event has no deadline and no amount. A dispute that an IPN names has events of its own, too."
        }
        "RefundInitiated" => "that the buyer has received the money. The refund can still be declined.",
        "RefundCompleted" => "that the whole charge was refunded. Check the amount in `snapshot`.",
        "RefundDeclined" => "that the refund is still in progress. Declined is final.",
        "DisputeUnderReview" => "that the dispute is decided. Amazon may still ask the merchant to respond.",
        "DisputeActionRequired" => "that the buyer has won.",
        "DisputeResolved" => "that the merchant has won, or lost. Check `snapshot.resolution`.",
        "DisputeClosed" => "that the merchant has won, or lost.",
        _ => {
            "that the object has failed. This version of the receiver does not know the state, so it gives no specific next action."
        }
    }
}
