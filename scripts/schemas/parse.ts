// Uses the generated types as a consumer does. Compiling it is most of the test: `fixtures.ts` has every fixture as a constant of
// the type AnyEvent, so a field that the types lack, or a value of another type, is an error.
import type { AnyEvent, ChargeDeclined, KnownNextActionCode, Money } from "./events.js";
import { fixtures } from "./fixtures.js";

/** Narrowed by `type` alone. */
function amount(event: AnyEvent): Money | undefined {
  switch (event.type) {
    case "amazonpay.ChargeDeclined.v1": {
      const declined: ChargeDeclined = event;
      const state: "Declined" = declined.data.state;
      return state === "Declined" ? declined.data.snapshot.chargeAmount : undefined;
    }
    case "amazonpay.RefundCompleted.v1":
      return event.data.snapshot.refundAmount;
    case "amazonpay.PermissionLimitNear.v1":
      return event.data.snapshot.limits?.amountBalance;
    default:
      return undefined;
  }
}

// @ts-expect-error: no code of this version
const typo: KnownNextActionCode = "RETRY_CHARG";
// @ts-expect-error: no event has this type
const unknown: AnyEvent["type"] = "amazonpay.ChargeTeleported.v1";
const later: AnyEvent["data"]["nextAction"]["code"] = "A_CODE_OF_TOMORROW";

const events = Object.values(fixtures);
const types = new Set(events.map((event) => event.type));
const amounts = events.map(amount).filter((found) => found !== undefined);
if (types.has(unknown) || amounts.length === 0 || String(typo) === later) throw new Error("the fixtures have no amount");
if (!amounts.every((found) => /^[0-9]+\.[0-9]{2}$/.test(found.amount))) throw new Error(JSON.stringify(amounts));
console.log(`TypeScript: ${events.length} fixtures of ${types.size} types, ${amounts.length} amounts read`);
