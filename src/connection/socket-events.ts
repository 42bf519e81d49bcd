import type { Socket } from 'node:net';

/** Uses a socket: the dial at first, then the connection. */
export interface SocketUser {
  received(data: Buffer): void;
  /** The socket failed, or the server closed it; then there is no error. May be called more than once. */
  lost(error?: NodeJS.ErrnoException): void;
}

/** Reports the events of one socket to its present user. */
export class SocketEvents {
  user: SocketUser;

  constructor(socket: Socket, user: SocketUser) {
    this.user = user;
    socket.on('data', (data) => this.user.received(data));
    socket.once('end', () => this.user.lost());
    // Never removed: a socket that is being closed towards Fluentd often fails with ECONNRESET.
    socket.on('error', (error) => this.user.lost(error));
    socket.once('close', () => this.user.lost());
  }
}
