import { deflateSync, zstdCompressSync } from 'node:zlib';
import { UnencodableValueError } from '../../pulsar-wire.errors.js';
import { COMPRESSION } from './compression.js';
import { lz4Compress, lz4Table } from './lz4.js';
import { snappyCompress, snappyTable } from './snappy.js';

/** Compresses payloads; keeps the tables that LZ4 and Snappy search with, so one per producer or client. */
export class Compressor {
  #lz4: Int32Array | undefined;
  #snappy: Int32Array | undefined;

  /**
   * The compressed form of `source`; a view or `source` itself with `COMPRESSION.none`.
   *
   * @param compression `COMPRESSION`.
   * @throws {@link UnencodableValueError} when the compression is unknown.
   */
  compress(compression: number, source: Uint8Array): Uint8Array {
    switch (compression) {
      case COMPRESSION.none:
        return source;
      case COMPRESSION.lz4:
        return lz4Compress(source, (this.#lz4 ??= lz4Table()));
      case COMPRESSION.zlib:
        return deflateSync(source);
      case COMPRESSION.zstd:
        return zstdCompressSync(source);
      case COMPRESSION.snappy:
        return snappyCompress(source, (this.#snappy ??= snappyTable()));
      default:
        throw new UnencodableValueError(`compression ${compression} is unknown`);
    }
  }
}
