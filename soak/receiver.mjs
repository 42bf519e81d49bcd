// A receiver for soak.mjs, in a process of its own: it writes what it gets to a file, and then acknowledges.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';

/** With `--lossy`, one message of so many is acknowledged and thrown away, the first one among them. */
const LOSSES_EVERY = 5;

const { values } = parseArgs({
  options: { port: { type: 'string' }, output: { type: 'string' }, lossy: { type: 'boolean', default: false } },
});
const receiver = await ForwardReceiver.listen({ port: Number(values.port), retain: false });
receiver.on('message', ({ entries }) => {
  if (values.lossy && receiver.messageCount % LOSSES_EVERY === 1) return;
  // What is written survives a SIGKILL; the ack leaves when this returns.
  appendFileSync(values.output, entries.map(({ record }) => `${JSON.stringify(record)}\n`).join(''));
});
console.log(`listening at ${receiver.endpoint}`);
