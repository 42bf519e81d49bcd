// Listens on the address in its first argument, prints its port, and is stopped before it accepts.
import { createServer } from 'node:net';

const server = createServer().listen({ host: process.argv[2], port: 0, backlog: 1 }, () => {
  process.stdout.write(`${server.address().port}\n`);
});
