// What disturber.ts can do, and in what words.
export const DISTURBANCES = {
  unread: 'a no-ack consumer of a busy queue (20 MB/s) that never reads its socket',
  unconsumed: 'a publisher at full speed, 1 KB, to a queue without consumer',
  consumed: 'a publisher at full speed, 1 KB, to a queue with a consumer',
} as const;
