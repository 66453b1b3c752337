// A short dunning consumer: stores and prints what is due after each event, once. Ctrl-C ends it.
//
//     npm ci && npm run build && node build/dunning.js [HOST:PORT [live|sandbox [TOPIC [STORE]]]]
//
// Put your own work into `due`. ../python/events_consumer.py is the robust reference, with the whole rule of when to mail.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import kafkajs from "kafkajs";
import { compressFrame, decompressFrame } from "lz4-napi";
import type { AnyEvent, KnownNextActionCode } from "./events.js"; // generated from schemas/events.schema.json

type Done = { id: string; permission: string; sequence: string; code: string; task?: string };

const [servers = "127.0.0.1:9092", environment = "live", topic = "amazonpay.events.v1", store = "dunning.jsonl"] =
  process.argv.slice(2);

/** What is due after the event. Later versions may add codes: ignore those that you do not know. */
function due({ data: { nextAction } }: AnyEvent): string | undefined {
  switch (nextAction.code as KnownNextActionCode) {
    case "RETRY_CHARGE": return "charge: create one for each payment that is due";
    case "RETRY_CHARGE_AFTER_PERMISSION_CHECK": return "check: charge only if the permission is now Chargeable";
    case "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD": return `mail: update your payment method at ${nextAction.url}`;
    case "OPEN_UPDATE_PAGE": case "ASK_FOR_OTHER_PAYMENT_METHOD": case "VERIFY_AMOUNT_WITH_BUYER":
      return "mail: choose another payment method in our shop";
    case "OPEN_SETUP_PAGE": case "REENGAGE_BUYER_WITH_NEW_CHECKOUT": case "REACH_OUT_BEFORE_NEXT_CYCLE":
      return "mail: check out anew in our shop";
    case "RESPOND_TO_DISPUTE": return `dispute: respond by ${nextAction.deadline ?? "the date in Seller Central"}`;
    default: return undefined;
  }
}

// The store is a file of one line for each event. Replace it with tables of your database: a key on `id`, one transaction.
const ids = new Set<string>();
const newest = new Map<string, string>(); // sequence by permission
const mailed = new Set<string>(); // permissions whose buyer has a mail about the present problem

function remember({ id, permission, sequence, code, task }: Done): void {
  ids.add(id);
  newest.set(permission, sequence);
  if (code === "RETRY_CHARGE") mailed.delete(permission); // the problem is over
  if (task?.startsWith("mail:")) mailed.add(permission);
}

if (existsSync(store)) {
  const whole = readFileSync(store).subarray(0, readFileSync(store).lastIndexOf("\n") + 1);
  truncateSync(store, whole.length); // a crash may have left a part of a line
  whole.toString().split("\n").slice(0, -1).forEach((line) => remember(JSON.parse(line)));
}
const file = openSync(store, "a");

/** Stores the event's id with what is due, at once: a repeated event finds its id and does nothing. */
function apply(event: AnyEvent): string | undefined {
  const { id, partitionkey: permission, sequence } = event;
  if (ids.has(id) || sequence <= (newest.get(permission) ?? "")) return undefined; // known, or late
  const wanted = due(event);
  const task = wanted?.startsWith("mail:") && mailed.has(permission) ? undefined : wanted; // two events, one mail
  const done: Done = { id, permission, sequence, code: event.data.nextAction.code, task };
  writeSync(file, `${JSON.stringify(done)}\n`);
  fsyncSync(file);
  remember(done);
  return task;
}

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
// The receiver compresses its records with LZ4, which kafkajs reads only with a codec of another package.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }: { buffer: Buffer }) => compressFrame(buffer),
  decompress: decompressFrame,
});

// kafkajs reads committed records only, and commits the offset after `eachMessage`: a crash in between repeats the event,
// which is known by then.
const kafka = new Kafka({ clientId: "dunning", brokers: servers.split(","), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: "dunning-typescript" });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  eachMessage: async ({ message }) => {
    const event: AnyEvent = JSON.parse(message.value!.toString());
    const task = event.source.endsWith(`/${environment}`) ? apply(event) : undefined;
    if (task) console.log(event.type, event.partitionkey, task);
  },
});
process.once("SIGINT", () => void consumer.disconnect().then(() => closeSync(file)));
