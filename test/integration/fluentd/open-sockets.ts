import { subscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

const dialled = new Set<Socket>();

subscribe('net.client.socket', (message) => {
  const { socket } = message as { socket: Socket };
  dialled.add(socket);
  socket.once('close', () => dialled.delete(socket));
});

/** How many connections from this process to ports are open. */
export function openSockets(...ports: readonly number[]): number {
  return [...dialled].filter(({ remotePort }) => remotePort !== undefined && ports.includes(remotePort)).length;
}
