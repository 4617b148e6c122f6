/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fnv.h - FNV-1a, of 64 bits. Without a secret: for what is the same in every gateway, and for tables
 * whose texts no client chooses.
 */
#ifndef KOLK_GATEWAY_FNV_H
#define KOLK_GATEWAY_FNV_H

#include <stdint.h>

#define GW_FNV_BEGIN UINT64_C(0xcbf29ce484222325)

static inline uint64_t gw_fnv_add(uint64_t hash, int c)
{
	return (hash ^ (uint8_t)c) * UINT64_C(0x100000001b3);
}

#endif
