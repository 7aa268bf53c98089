import { Module } from '@nestjs/common';

/** Carries the caches of one `RedisCacheModule.forFeature`. */
@Module({})
export class RedisCacheFeatureModule {}
