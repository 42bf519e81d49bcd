import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Gate } from '../../bench/outage/gate.mjs';
import { freePort } from '../support/receiver-process.mjs';

const PROBE = 'probe';
/** Only a gate that hangs needs this limit. */
const POLL = { timeout: 60_000 };

describe('Gate', () => {
  let server: Server;
  let received: string;
  let gate: Gate;
  let port: number;

  beforeEach(async () => {
    received = '';
    server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        if (String(data) !== PROBE) received += data;
        socket.write('ok');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = await freePort();
    gate = new Gate(port, (server.address() as AddressInfo).port);
    await gate.open();
  });

  afterEach(async () => {
    gate.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it('passes bytes on in both directions', async () => {
    const client = await connected();
    expect(await answerTo(client, 'hello')).toBe('ok');
    expect(received).toBe('hello');
    client.end();
  });

  it('resets connections with what it has not read, and works again', async () => {
    const client = await connected();
    await answerTo(client, 'hello');
    gate.hang();
    client.write(' lost');
    await roundTrip();
    const failed = once(client, 'error');
    gate.reset();
    await expect(failed).resolves.toMatchObject([{ code: 'ECONNRESET' }]);
    const next = await connected();
    await answerTo(next, ' again');
    expect(received).toBe('hello again');
    next.end();
  });

  it('reads without answering while it is mute', async () => {
    const client = await connected();
    await answerTo(client, 'hello');
    gate.mute();
    let answers = 0;
    client.on('data', () => answers++);
    client.write(' there');
    await expect.poll(() => received, POLL).toBe('hello there');
    const failed = once(client, 'error');
    gate.reset();
    await failed;
    expect({ received, answers }).toEqual({ received: 'hello there', answers: 0 });
  });

  it('refuses connections while it is closed', async () => {
    const client = await connected();
    gate.close();
    await once(client, 'close');
    await expect(connected()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await gate.open();
    const next = await connected();
    expect(await answerTo(next, 'hello')).toBe('ok');
    next.end();
  });

  it('counts connections until both of their sides are closed', async () => {
    const client = await connected();
    await answerTo(client, 'hello');
    expect(gate.connections).toBe(1);
    client.on('error', () => {});
    gate.mute();
    client.write(' there');
    await expect.poll(() => received, POLL).toBe('hello there');
    await roundTrip();
    gate.reset();
    await expect.poll(() => gate.connections, POLL).toBe(0);
  });

  /** Passes by the gate. What was written before has arrived by then. */
  async function roundTrip(): Promise<void> {
    const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
    await answerTo(client, PROBE);
    client.end();
  }

  async function connected(): Promise<Socket> {
    const client = connect({ port, host: '127.0.0.1' });
    await once(client, 'connect');
    return client;
  }

  async function answerTo(client: Socket, text: string): Promise<string> {
    client.write(text);
    const [data] = await once(client, 'data');
    return String(data);
  }
});
