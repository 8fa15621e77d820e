// Preloaded into amqplib's examples, which connect to localhost:5672: sends those connections to the target of the test instead.
import net from 'node:net';

const { TARGET_HOST: host, TARGET_PORT: port } = process.env;
const { connect } = net;

net.connect = (options, ...rest) =>
  options?.port === 5672 ? connect({ ...options, host, port: Number(port) }, ...rest) : connect(options, ...rest);
