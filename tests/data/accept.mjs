// Asks two public libraries whether they accept the requests in accepted-webhooks.json, beside this file:
//   npm install standardwebhooks@1.1.1 cloudevents@10.0.0 && node accept.mjs accepted-webhooks.json
// It ends with 0 only when each takes each, and refuses each with one byte changed.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { HTTP } from "cloudevents";

const { requests } = JSON.parse(readFileSync(process.argv[2], "utf8"));

// The library judges the timestamp by the clock: it is told the time of the request.
Date.now = () => Number(requests[0].timestamp) * 1000;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...of) { super(...(of.length ? of : [RealDate.now()])); }
};

function accepted(webhook, request, body) {
  const headers = { "webhook-id": request.id, "webhook-timestamp": request.timestamp, "webhook-signature": request.signature };
  try {
    webhook.verify(body, headers);
    return true;
  } catch (error) {
    return false;
  }
}

for (const request of requests) {
  for (const secret of request.secret.split("\n")) {
    const webhook = new Webhook(secret);
    if (!accepted(webhook, request, request.body)) throw new Error(`standardwebhooks refuses ${request.format}`);
    if (accepted(webhook, request, request.body.replace("main", "mine"))) throw new Error("standardwebhooks takes anything");
  }
  if (request.format !== "cloudevents") continue;
  const taken = HTTP.toEvent({ headers: { "content-type": request.content_type }, body: request.body });
  const events = Array.isArray(taken) ? taken : [taken];
  if (events.length !== request.events) throw new Error(`cloudevents sees ${events.length} events, not ${request.events}`);
  for (const event of events) event.validate();
  console.log(events.map((event) => `${event.type} ${event.subject}`).join(", "));
}
console.log(`${requests.length} requests accepted`);
