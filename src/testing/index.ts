export type { ConnectionFault, ConnectionScript, MessageFault, MessageScript, Script } from './faults.ts';
export type { EntryTime, ReceivedEntry, ReceivedMessage } from './message.ts';
export { ForwardReceiver, type ForwardReceiverOptions } from './receiver.ts';
