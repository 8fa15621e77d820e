// Whether a peer is on this machine: RabbitMQ's rule for `loopback_users` such as guest.

/** True for 127.0.0.0/8, ::1 and IPv4 loopback within IPv6; false when the address is unknown. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  const bare = address.toLowerCase().replace(/%.*$/, '');
  if (bare === '::1' || bare === '0:0:0:0:0:0:0:1') return true;
  const octets = bare.replace(/^::ffff:/, '').split('.');
  return (
    octets.length === 4 &&
    octets[0] === '127' &&
    octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) <= 255)
  );
}
