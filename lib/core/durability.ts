// Durability where there is no disk: everything is as durable as it will ever be.
import type { Durability } from './ports.ts';

export const IN_MEMORY: Durability = {
  sequence: 0,
  whenDurable: (done) => done(),
};
