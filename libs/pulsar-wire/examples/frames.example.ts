/**
 * Two messages become one frame, the frame goes through a stream that is cut anywhere, and comes out as two messages.
 *
 * Run it after `npm run build`: `node libs/pulsar-wire/examples/frames.example.ts`
 */
import {
  BatchWriter,
  Compressor,
  COMPRESSION,
  decodeCommand,
  FrameReader,
  SendFrameEncoder,
} from '@smartpulse/pulsar-wire';

const maxMessageBytes = 5 * 1024 * 1024;
const batch = new BatchWriter(131_072);
batch.tryAdd({ payload: Buffer.from('first'), key: 'a', properties: { colour: 'green' } });
batch.tryAdd({ payload: Buffer.from('second'), key: 'a' });

const frame = batch.finish(
  new SendFrameEncoder(),
  {
    producerId: 1,
    sequenceId: 0n,
    highestSequenceId: 1n,
    metadata: { producerName: 'example', sequenceId: 0n, publishTimeMs: Date.UTC(2026, 0, 1), partitionKey: 'a' },
  },
  maxMessageBytes,
  new Compressor(),
  COMPRESSION.zstd,
);

const frames = new FrameReader((bytes, start, end) => console.log(decodeCommand(bytes, start, end)));
frames.push(frame.subarray(0, 3));
frames.push(frame.subarray(3));
