import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { printable } from '../../printable.ts';

const DAY_MILLIS = 86_400_000;
/** Longer than chains are. */
const MAX_CHAIN = 10;

/** The version of TLS, who the server is and by whom, and for how long that holds. */
export function describeTls(socket: TLSSocket): string {
  const chain = [...chainOf(socket.getPeerCertificate(true))];
  const names = chain.map(({ subject }) => printable([subject.CN ?? 'without a name'].flat().join(', ')));
  const ends = chain.map(({ valid_to }) => Date.parse(valid_to));
  return `${socket.getProtocol()}, certificate ${names.join(' by ')}, ${validity(Math.min(...ends) - Date.now())}`;
}

/** The certificates from the server's to that of the last authority which is known. */
function* chainOf(first: DetailedPeerCertificate): Generator<DetailedPeerCertificate> {
  let certificate: DetailedPeerCertificate | undefined = first;
  for (let length = 0; length < MAX_CHAIN && certificate?.subject !== undefined; length++) {
    yield certificate;
    // One that is its own authority names itself.
    const { issuerCertificate }: DetailedPeerCertificate = certificate;
    certificate = issuerCertificate === certificate ? undefined : issuerCertificate;
  }
}

function validity(millis: number): string {
  const days = Math.floor(millis / DAY_MILLIS);
  if (millis < 0) return 'expired';
  return days === 0 ? 'valid for less than a day' : `valid for ${days} day${days === 1 ? '' : 's'}`;
}
