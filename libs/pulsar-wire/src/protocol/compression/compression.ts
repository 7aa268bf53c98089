import { constants, inflateSync, zstdDecompressSync } from 'node:zlib';
import { DecompressionError } from '../../pulsar-wire.errors.js';
import { lz4Decompress } from './lz4.js';
import { snappyDecompress } from './snappy.js';

/** `MessageMetadata.compression`. */
export const COMPRESSION = Object.freeze({ none: 0, lz4: 1, zlib: 2, zstd: 3, snappy: 4 });

/** The name of a compression. */
export type CompressionName = keyof typeof COMPRESSION;

/** A zstd frame chooses how much memory its decoder needs; 2^23 is what every decoder must give, larger entries need their own size. */
const ZSTD_WINDOW_LOG = 23;

/**
 * Decompresses to exactly `size` bytes. Never allocates more than that, whatever the bytes say.
 *
 * @param compression `COMPRESSION`.
 * @param size `MessageMetadata.uncompressedSize`, checked against a limit by the caller.
 * @throws {@link DecompressionError} when the bytes are damaged, give another size, or the compression is unknown.
 */
export function decompress(compression: number, source: Uint8Array, size: number): Buffer {
  switch (compression) {
    case COMPRESSION.none:
      return sized('none', Buffer.from(source.buffer, source.byteOffset, source.byteLength), size);
    case COMPRESSION.lz4:
      return lz4Decompress(source, size);
    case COMPRESSION.zlib:
      // The Java client flushes its streams and never ends them, so there may be no end mark; the size says that all is there.
      return native('zlib', size, () =>
        inflateSync(source, { maxOutputLength: Math.max(1, size), finishFlush: constants.Z_SYNC_FLUSH }),
      );
    case COMPRESSION.zstd:
      return native('zstd', size, () =>
        zstdDecompressSync(source, {
          maxOutputLength: Math.max(1, size),
          params: {
            [constants.ZSTD_d_windowLogMax]: Math.max(ZSTD_WINDOW_LOG, Math.ceil(Math.log2(Math.max(1, size)))),
          },
        }),
      );
    case COMPRESSION.snappy:
      return snappyDecompress(source, size);
    default:
      throw new DecompressionError(`format ${compression}`, 'it is unknown');
  }
}

function native(name: string, size: number, work: () => Buffer): Buffer {
  let output: Buffer;
  try {
    output = work();
  } catch (error) {
    throw new DecompressionError(name, `the bytes are damaged or give more than ${size} bytes`, error);
  }
  return sized(name, output, size);
}

function sized(name: string, output: Buffer, size: number): Buffer {
  if (output.length !== size) {
    throw new DecompressionError(name, `${output.length} bytes instead of ${size}`);
  }
  return output;
}
