// A receiver in a process of its own, which can be stopped and go on: tells its endpoint, then each message.
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';

const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const receiver = await ForwardReceiver.listen({ retain: false });
receiver.on('message', tell);
tell(receiver.endpoint);
