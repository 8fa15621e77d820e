// The bytes that a string came from. The broker decodes AMQP's strings without loss: a byte that is no UTF-8 is a lone surrogate,
// 0xDC00 above it. Must not know what a string is for.

export function bytesOf(text: string): Buffer {
  if (!/\p{Surrogate}/u.test(text)) return Buffer.from(text);
  return Buffer.concat(Array.from(text, bytesOfCharacter));
}

/** A lone surrogate's low octet is the byte that it stands for. */
function bytesOfCharacter(character: string): Buffer {
  return /\p{Surrogate}/u.test(character) ? Buffer.of(character.charCodeAt(0) & 0xff) : Buffer.from(character);
}
