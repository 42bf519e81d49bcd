import { createSocket, type Socket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import { once } from 'node:events';
import { type Answer, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import { onTestFinished } from 'vitest';

/** The response codes of DNS that tests need. */
const RCODE = { SERVFAIL: 2, NXDOMAIN: 3 } as const;
type Problem = keyof typeof RCODE;

export interface SrvRecord {
  readonly priority?: number;
  readonly weight?: number;
  readonly port: number;
  readonly target: string;
}

/** What a name stands for; no answer at all is `'silence'`. */
export type SrvAnswer = readonly SrvRecord[] | Problem | 'silence';

/** A DNS server on loopback that this process asks until the test ends. */
export class DnsServer {
  /** By name, in lower case; a name that is not there does not exist. */
  readonly srv = new Map<string, SrvAnswer>();
  readonly #queryIds = new Set<number | undefined>();
  readonly #socket: Socket = createSocket('udp4');

  /** How many queries have come. One that the client repeats, as the answer is slow, counts once. */
  get queries(): number {
    return this.#queryIds.size;
  }

  static async start(): Promise<DnsServer> {
    const server = new DnsServer();
    const socket = server.#socket;
    socket.on('message', (query, { address, port }) => {
      const reply = server.#answer(query);
      if (reply !== undefined) socket.send(reply, port, address);
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const before = dns.getServers();
    dns.setServers([`127.0.0.1:${socket.address().port}`]);
    onTestFinished(() => {
      dns.setServers(before);
      socket.close();
    });
    return server;
  }

  #answer(query: Buffer): Buffer | undefined {
    const { id, questions = [] } = decode(query);
    this.#queryIds.add(id);
    const name = questions[0]?.name.toLowerCase() ?? '';
    const answer = this.srv.get(name) ?? 'NXDOMAIN';
    if (answer === 'silence') return undefined;
    const isProblem = typeof answer === 'string';
    const answers = isProblem
      ? []
      : answer.map(({ priority = 0, weight = 1, port, target }): Answer => {
          // Node.js 20.19.0 keeps answers for their time to live, and so would not ask again within a test.
          return { name, type: 'SRV', ttl: 0, data: { priority, weight, port, target } };
        });
    const flags = RECURSION_DESIRED | (isProblem ? RCODE[answer] : 0);
    return encode({ type: 'response', flags, questions, answers, ...(id === undefined ? {} : { id }) });
  }
}
