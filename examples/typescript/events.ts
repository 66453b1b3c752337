// Generated from schemas/events.schema.json by: npm run generate

/**
 * An event of a type that this version knows. Later versions may add types; ignore those that you do not know.
 */
export type AnyEvent =
  | PermissionChargeable
  | PermissionNonChargeable
  | PermissionClosed
  | PaymentMethodUpdated
  | PermissionUpdated
  | PermissionExpiring
  | PermissionLimitNear
  | PermissionStateUnrecognized
  | ChargeAuthorizationInitiated
  | ChargeAuthorized
  | ChargeCaptureInitiated
  | ChargeCaptured
  | ChargeDeclined
  | ChargeCanceled
  | ChargeUpdated
  | ChargebackReported
  | ChargeStateUnrecognized
  | RefundInitiated
  | RefundCompleted
  | RefundDeclined
  | RefundStateUnrecognized
  | DisputeUnderReview
  | DisputeActionRequired
  | DisputeResolved
  | DisputeClosed
  | DisputeDeadlineNear
  | DisputeStateUnrecognized;
/**
 * The words of this version. Later versions may add words.
 */
export type KnownEvidence =
  "became_chargeable" | "descriptor_changed" | "billing_address_changed" | "attribute_change" | "chargeback_ipn";
/**
 * The codes of this version. Later versions may add codes.
 */
export type KnownNextActionCode =
  | "RETRY_CHARGE"
  | "RETRY_CHARGE_AFTER_PERMISSION_CHECK"
  | "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD"
  | "OPEN_UPDATE_PAGE"
  | "OPEN_SETUP_PAGE"
  | "VERIFY_AMOUNT_WITH_BUYER"
  | "ASK_FOR_OTHER_PAYMENT_METHOD"
  | "REENGAGE_BUYER_WITH_NEW_CHECKOUT"
  | "REACH_OUT_BEFORE_NEXT_CYCLE"
  | "WAIT_FOR_NEXT_PERIOD"
  | "RENEW_BEFORE_EXPIRY"
  | "CHARGE_BEFORE_EXPIRY"
  | "CHECK_BALANCE_BEFORE_CHARGE"
  | "WAIT"
  | "RESPOND_TO_DISPUTE"
  | "CONTACT_SUPPORT"
  | "NONE";

/**
 * The charge permission can be charged.
 */
export interface PermissionChargeable {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PermissionChargeable.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PermissionChargeableData;
}
/**
 * What the event PermissionChargeable says about its object.
 */
export interface PermissionChargeableData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Chargeable";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * A reason of a state, as Amazon gives it.
 */
export interface Reason {
  reasonCode: string;
  /**
   * Amazon's sentence.
   */
  reasonDescription?: string;
}
/**
 * What the merchant should do next, as Amazon's guides advise.
 */
export interface NextAction {
  code: (KnownNextActionCode | string) & string;
  /**
   * Sentences for people.
   */
  text: string;
  /**
   * Page where the buyer updates the payment method.
   */
  url?: string;
  /**
   * In Amazon's format, UTC.
   */
  deadline?: string;
}
/**
 * The attributes of the ChargePermission that are not about the buyer, under Amazon's names.
 */
export interface ChargePermissionSnapshot {
  chargePermissionReferenceId?: string;
  recurringMetadata?: RecurringMetadata;
  paymentMethodOnFileMetadata?: PaymentMethodOnFileMetadata;
  limits?: Limits;
  presentmentCurrency?: string;
  platformId?: string;
  /**
   * In Amazon's format, UTC.
   */
  creationTimestamp?: string;
  /**
   * In Amazon's format, UTC.
   */
  expirationTimestamp?: string;
  resolution?: string;
  merchantReferenceId?: string;
  noteToBuyer?: string;
  customInformation?: string;
}
/**
 * Amazon's recurringMetadata.
 */
export interface RecurringMetadata {
  frequency?: Frequency;
  amount?: Money;
}
/**
 * Amazon's recurringMetadata.frequency.
 */
export interface Frequency {
  unit?: string;
  value?: string;
}
/**
 * An amount and its currency.
 */
export interface Money {
  /**
   * A decimal number.
   */
  amount: string;
  currencyCode?: string;
}
/**
 * Amazon's paymentMethodOnFileMetadata.
 */
export interface PaymentMethodOnFileMetadata {
  setupOnly?: boolean;
}
/**
 * Amazon's limits.
 */
export interface Limits {
  amountLimit?: Money;
  amountBalance?: Money;
}
/**
 * Why the object was read.
 */
export interface Cause {
  type: string;
  timestamp: string;
  /**
   * MessageId of the SNS message.
   */
  messageId?: string;
  notificationType?: string;
  /**
   * The object whose event needed this read.
   */
  readFor?: string;
}
/**
 * The charge permission cannot be charged at the moment. The reasons say why; there may be several.
 */
export interface PermissionNonChargeable {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PermissionNonChargeable.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PermissionNonChargeableData;
}
/**
 * What the event PermissionNonChargeable says about its object.
 */
export interface PermissionNonChargeableData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "NonChargeable";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: PaymentMethodInvalid, PaymentMethodDeleted, BillingAddressDeleted, PaymentMethodExpired, PaymentMethodNotAllowed, PaymentMethodNotSet, MFAFailed, TransactionAmountExceeded, TransactionCountExceeded, AmountNotSet, ChargeInProgress.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The charge permission is closed for good. The reasons say who closed it, if Amazon gives a reason.
 */
export interface PermissionClosed {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PermissionClosed.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PermissionClosedData;
}
/**
 * What the event PermissionClosed says about its object.
 */
export interface PermissionClosedData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Closed";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: MerchantClosed, BuyerClosed, AmazonCanceled, AmazonClosed, Expired.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The buyer's payment method or billing address changed; with the evidence `attribute_change` alone, it probably changed. `evidence` lists everything that shows the change.
 */
export interface PaymentMethodUpdated {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PaymentMethodUpdated.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PaymentMethodUpdatedData;
}
/**
 * What the event PaymentMethodUpdated says about its object.
 */
export interface PaymentMethodUpdatedData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Another attribute of the charge permission changed, such as its balance or the shipping address.
 */
export interface PermissionUpdated {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PermissionUpdated.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PermissionUpdatedData;
}
/**
 * What the event PermissionUpdated says about its object.
 */
export interface PermissionUpdatedData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The charge permission expires soon. After `nextAction.deadline` Amazon closes it, and it cannot be charged again.
 */
export interface PermissionExpiring {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PermissionExpiring.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PermissionExpiringData;
}
/**
 * What the event PermissionExpiring says about its object.
 */
export interface PermissionExpiringData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Little is left of the amount that Amazon allows for this charge permission: see `snapshot.limits`.
 */
export interface PermissionLimitNear {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PermissionLimitNear.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PermissionLimitNearData;
}
/**
 * What the event PermissionLimitNear says about its object.
 */
export interface PermissionLimitNearData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon reports a state that this version of the receiver does not know. `state` has Amazon's name of it, unchanged.
 */
export interface PermissionStateUnrecognized {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.PermissionStateUnrecognized.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: PermissionStateUnrecognizedData;
}
/**
 * What the event PermissionStateUnrecognized says about its object.
 */
export interface PermissionStateUnrecognizedData {
  objectType: "ChargePermission";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargePermissionSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon is authorizing the charge.
 */
export interface ChargeAuthorizationInitiated {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeAuthorizationInitiated.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeAuthorizationInitiatedData;
}
/**
 * What the event ChargeAuthorizationInitiated says about its object.
 */
export interface ChargeAuthorizationInitiatedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "AuthorizationInitiated";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The attributes of the Charge that are not about the buyer, under Amazon's names.
 */
export interface ChargeSnapshot {
  chargeAmount?: Money;
  captureAmount?: Money;
  refundedAmount?: Money;
  convertedAmount?: Money;
  /**
   * A decimal number.
   */
  conversionRate?: string;
  softDescriptor?: string;
  captureNow?: boolean;
  canHandlePendingAuthorization?: boolean;
  chargeInitiator?: string;
  channel?: string;
  platformId?: string;
  /**
   * In Amazon's format, UTC.
   */
  creationTimestamp?: string;
  /**
   * In Amazon's format, UTC.
   */
  expirationTimestamp?: string;
  resolution?: string;
  merchantReferenceId?: string;
  noteToBuyer?: string;
  customInformation?: string;
}
/**
 * The amount is reserved and can be captured.
 */
export interface ChargeAuthorized {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeAuthorized.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeAuthorizedData;
}
/**
 * What the event ChargeAuthorized says about its object.
 */
export interface ChargeAuthorizedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Authorized";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon is capturing the charge.
 */
export interface ChargeCaptureInitiated {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeCaptureInitiated.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeCaptureInitiatedData;
}
/**
 * What the event ChargeCaptureInitiated says about its object.
 */
export interface ChargeCaptureInitiatedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "CaptureInitiated";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The amount was captured: Amazon took the payment from the buyer.
 */
export interface ChargeCaptured {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeCaptured.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeCapturedData;
}
/**
 * What the event ChargeCaptured says about its object.
 */
export interface ChargeCapturedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Captured";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The charge failed. The reasons say why.
 */
export interface ChargeDeclined {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeDeclined.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeDeclinedData;
}
/**
 * What the event ChargeDeclined says about its object.
 */
export interface ChargeDeclinedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Declined";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: SoftDeclined, ProcessingFailure, HardDeclined, AmazonRejected, TransactionTimedOut, Declined, TransactionAmountExceeded, PaymentMethodNotAllowed, MFANotCompleted, MFAFailed.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The charge was canceled. The reasons say by whom.
 */
export interface ChargeCanceled {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeCanceled.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeCanceledData;
}
/**
 * What the event ChargeCanceled says about its object.
 */
export interface ChargeCanceledData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Canceled";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: MerchantCanceled, BuyerCanceled, ExpiredUnused, AmazonCanceled, ChargePermissionCanceled.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Another attribute of the charge changed, such as the refunded amount.
 */
export interface ChargeUpdated {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeUpdated.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeUpdatedData;
}
/**
 * What the event ChargeUpdated says about its object.
 */
export interface ChargeUpdatedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon reported a chargeback or an A-to-z claim about this charge. `state` is the state of the charge, not of the dispute.
 */
export interface ChargebackReported {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargebackReported.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargebackReportedData;
}
/**
 * What the event ChargebackReported says about its object.
 */
export interface ChargebackReportedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon reports a state that this version of the receiver does not know. `state` has Amazon's name of it, unchanged.
 */
export interface ChargeStateUnrecognized {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.ChargeStateUnrecognized.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: ChargeStateUnrecognizedData;
}
/**
 * What the event ChargeStateUnrecognized says about its object.
 */
export interface ChargeStateUnrecognizedData {
  objectType: "Charge";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: ChargeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon is processing the refund.
 */
export interface RefundInitiated {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.RefundInitiated.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: RefundInitiatedData;
}
/**
 * What the event RefundInitiated says about its object.
 */
export interface RefundInitiatedData {
  objectType: "Refund";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "RefundInitiated";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: RefundSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The attributes of the Refund that are not about the buyer, under Amazon's names.
 */
export interface RefundSnapshot {
  chargeId?: string;
  refundAmount?: Money;
  softDescriptor?: string;
  /**
   * In Amazon's format, UTC.
   */
  creationTimestamp?: string;
  resolution?: string;
  merchantReferenceId?: string;
  noteToBuyer?: string;
  customInformation?: string;
}
/**
 * The refund is complete: the buyer has received the money.
 */
export interface RefundCompleted {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.RefundCompleted.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: RefundCompletedData;
}
/**
 * What the event RefundCompleted says about its object.
 */
export interface RefundCompletedData {
  objectType: "Refund";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Refunded";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: RefundSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The refund failed; the buyer has not received the money. The reasons say why.
 */
export interface RefundDeclined {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.RefundDeclined.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: RefundDeclinedData;
}
/**
 * What the event RefundDeclined says about its object.
 */
export interface RefundDeclinedData {
  objectType: "Refund";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Declined";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: AmazonRejected, ProcessingFailure.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: RefundSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon reports a state that this version of the receiver does not know. `state` has Amazon's name of it, unchanged.
 */
export interface RefundStateUnrecognized {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.RefundStateUnrecognized.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: RefundStateUnrecognizedData;
}
/**
 * What the event RefundStateUnrecognized says about its object.
 */
export interface RefundStateUnrecognizedData {
  objectType: "Refund";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: RefundSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon is reviewing the dispute.
 */
export interface DisputeUnderReview {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.DisputeUnderReview.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: DisputeUnderReviewData;
}
/**
 * What the event DisputeUnderReview says about its object.
 */
export interface DisputeUnderReviewData {
  objectType: "Dispute";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "UnderReview";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: BuyerAdditionalEvidencesRequired, ChargebackFiled.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: DisputeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The attributes of the Dispute that are not about the buyer, under Amazon's names.
 */
export interface DisputeSnapshot {
  chargeId?: string;
  disputeType?: string;
  disputeAmount?: Money;
  filingReason?: string;
  /**
   * In Amazon's format, UTC.
   */
  merchantResponseDeadline?: string;
  resolutionAuthority?: string;
  /**
   * In Amazon's format, UTC.
   */
  creationTimestamp?: string;
  resolution?: string;
  merchantReferenceId?: string;
  noteToBuyer?: string;
  customInformation?: string;
}
/**
 * The merchant must respond to the dispute. Published again when the deadline or another attribute changes.
 */
export interface DisputeActionRequired {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.DisputeActionRequired.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: DisputeActionRequiredData;
}
/**
 * What the event DisputeActionRequired says about its object.
 */
export interface DisputeActionRequiredData {
  objectType: "Dispute";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "ActionRequired";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: MerchantResponseRequired, MerchantAdditionalEvidencesRequired.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: DisputeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The dispute was decided. `snapshot.resolution` says in whose favor.
 */
export interface DisputeResolved {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.DisputeResolved.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: DisputeResolvedData;
}
/**
 * What the event DisputeResolved says about its object.
 */
export interface DisputeResolvedData {
  objectType: "Dispute";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Resolved";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: MerchantAcceptedDispute, MerchantResponseDeadlineExpired, BuyerCancelled, InvestigatorResolved, AutoResolved.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: DisputeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The dispute is closed.
 */
export interface DisputeClosed {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.DisputeClosed.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: DisputeClosedData;
}
/**
 * What the event DisputeClosed says about its object.
 */
export interface DisputeClosedData {
  objectType: "Dispute";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "Closed";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: DisputeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * The merchant has not responded to the dispute yet, and `nextAction.deadline` is near.
 */
export interface DisputeDeadlineNear {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.DisputeDeadlineNear.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: DisputeDeadlineNearData;
}
/**
 * What the event DisputeDeadlineNear says about its object.
 */
export interface DisputeDeadlineNearData {
  objectType: "Dispute";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  state: "ActionRequired";
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state. Known codes: MerchantResponseRequired, MerchantAdditionalEvidencesRequired.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: DisputeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
/**
 * Amazon reports a state that this version of the receiver does not know. `state` has Amazon's name of it, unchanged.
 */
export interface DisputeStateUnrecognized {
  specversion: "1.0";
  /**
   * Identifies the fact. The same fact always has the same id, even if it is published again.
   */
  id: string;
  /**
   * /amazonpay/<merchant id>/live, or /sandbox.
   */
  source: string;
  type: "amazonpay.DisputeStateUnrecognized.v1";
  /**
   * Id of the object.
   */
  subject: string;
  /**
   * Amazon's lastUpdatedTimestamp of the object. Absent if Amazon's answer has no readable time.
   */
  time?: string;
  datacontenttype: "application/json";
  /**
   * Names the definition of `data`. Events of early versions lack it.
   */
  dataschema?: string;
  /**
   * Id of the charge permission; also the key of the Kafka record.
   */
  partitionkey: string;
  /**
   * Orders the events of a charge permission: greater than the sequence of every earlier event of the same charge permission.
   */
  sequence: string;
  /**
   * W3C Trace Context: the trace of the newest IPN that led to this event.
   */
  traceparent?: string;
  data: DisputeStateUnrecognizedData;
}
/**
 * What the event DisputeStateUnrecognized says about its object.
 */
export interface DisputeStateUnrecognizedData {
  objectType: "Dispute";
  objectId: string;
  chargePermissionId: string;
  /**
   * What named the charge permission if Amazon Pay's API did not: IPN.
   */
  chargePermissionIdSource?: string;
  /**
   * OneTime, Recurring or PaymentMethodOnFile, or a type that Amazon added later; null if it is not known.
   */
  chargePermissionType: string | null;
  /**
   * State of the object.
   */
  state: string;
  /**
   * The last state that the receiver knew before this event; null if the object was not known.
   */
  previousState: string | null;
  /**
   * The object was not known before.
   */
  firstSight: boolean;
  /**
   * Amazon's reasons of the state.
   */
  reasons: Reason[];
  /**
   * What shows the change.
   *
   * @minItems 1
   */
  evidence?: ((KnownEvidence | string) & string)[];
  /**
   * State of the charge permission when it was last read.
   */
  permissionState?: string;
  /**
   * When the charge permission was last read.
   */
  permissionReadAt?: string;
  nextAction: NextAction;
  snapshot: DisputeSnapshot;
  /**
   * Why the object was read, oldest first.
   */
  causes: Cause[];
  /**
   * When the object was read.
   */
  observedAt: string;
  /**
   * The object reached its state more than 24 h before observedAt: after an outage, or with the first read of an old object.
   */
  late?: true;
  /**
   * x-amz-pay-request-id of the read from Amazon Pay.
   */
  amazonPayRequestId?: string;
  /**
   * Amazon does not document that this state can follow the previous state.
   */
  unexpectedTransition?: true;
}
