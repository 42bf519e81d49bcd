// A receiver in a process of its own, which can be stopped and go on. Prints its endpoint, then each message, and adds a
// byte to the file in its first argument for each ack that it has sent.
import { appendFileSync } from 'node:fs';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';

const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const receiver = await ForwardReceiver.listen({ retain: false });
receiver.on('message', (message) => {
  print(message);
  // The ack leaves before the event loop's next phase.
  setImmediate(() => appendFileSync(process.argv[2], '.'));
});
print(receiver.endpoint);
