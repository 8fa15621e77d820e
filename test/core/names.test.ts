// Names that the broker makes up.
import t from 'tap';
import {
  generateConsumerTag,
  generateQueueName,
  generateReplyQueueName,
  isReplyQueueName,
  REPLY_TO,
} from '../../lib/core/names.ts';

t.test('made-up names look like those of RabbitMQ', async (t) => {
  t.match(generateQueueName(), /^amq\.gen-[\w-]{22}$/);
  t.match(generateConsumerTag(), /^amq\.ctag-[\w-]{22}$/);
  t.match(generateReplyQueueName(), /^amq\.rabbitmq\.reply-to\.[\w+/]{36}\.[\w+/]{22}==$/);
});

t.test('no name is made up twice', async (t) => {
  for (const generate of [generateQueueName, generateConsumerTag, generateReplyQueueName]) {
    t.equal(new Set(Array.from({ length: 1000 }, generate)).size, 1000);
  }
});

t.test('a reply address is told from the pseudo queue and from other names', async (t) => {
  t.ok(isReplyQueueName(generateReplyQueueName()));
  for (const name of [REPLY_TO, '', 'amq.gen-x', 'my.amq.rabbitmq.reply-to.x']) t.notOk(isReplyQueueName(name), name);
});
