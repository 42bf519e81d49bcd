export type {
  ConnectionFault,
  ConnectionScript,
  HandshakeFault,
  HandshakeScript,
  MessageFault,
  MessageScript,
  Script,
} from './faults.ts';
export type { EntryTime, ReceivedEntry, ReceivedMessage } from './message.ts';
export { ForwardReceiver, type ForwardReceiverOptions } from './receiver.ts';
export type { ReceiverSecurity } from './security.ts';
