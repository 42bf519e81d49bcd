import type { Endpoint } from '../config/endpoint.ts';
import type { Target } from './socket.ts';

/** One place that a receiver listens at, and what this process knows of it. */
export interface Address {
  readonly endpoint: Endpoint;
  readonly target: Target;
  /** `host:port` or the path. */
  readonly text: string;
  /** The name that it was found by: the endpoint's, or that of an SRV record's target. */
  readonly name: string;
  /** 4 or 6; 0 for a path. */
  readonly family: number;
  /** Of those of one endpoint, the ones with the lowest are used while one of them is healthy. */
  priority: number;
  weight: number;
  /** When it is to be dialled next, in relation to the others. */
  turn: number;
  /** Connections of ours to it, those being dialled included. */
  connections: number;
  /** Failures since the last ack. */
  failures: number;
  failedAt: number;
  ejectedUntil: number;
}
