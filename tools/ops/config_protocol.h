/* SPDX-License-Identifier: Apache-2.0 */
/* config_protocol.h - which driver a protocol is, and what its pools need. */
#ifndef KOLK_OPS_CONFIG_PROTOCOL_H
#define KOLK_OPS_CONFIG_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kolk/kolk.h>

struct kolk__config_pool;
struct kolk__reading;

enum kolk__protocol_number {
	KOLK__PROTOCOL_RAW,
	KOLK__PROTOCOL_HTTP,
	KOLK__PROTOCOL_REDIS,
	KOLK__PROTOCOL_POSTGRES,
	KOLK__PROTOCOL_MCP,
	KOLK__PROTOCOLS
};

struct kolk__protocol {
	const char *name;
	const struct kolk_driver *(*driver)(void); /* NULL = not in this build */
	size_t offset; /* of the driver's options in struct kolk__config_pool; 0 = it has none */
};
const struct kolk__protocol *kolk__protocol_of(uint32_t number);
/* The rows of the section `mcp`; NULL = not in this build. */
const struct kolk_option_table *kolk__protocol_mcp_table(void);
/* Driver, its options, and what TLS is to agree on when the file does not say. */
bool kolk__protocol_check(struct kolk__reading *r, struct kolk__config_pool *pool);
/* As the calls on pools; those of PostgreSQL handle the cancel pool, too. */
enum kolk_err kolk__protocol_add(struct kolk_engine *engine, uint32_t protocol,
				 const struct kolk_pool_options *options, struct kolk_pool **pool);
enum kolk_err kolk__protocol_update(struct kolk_pool *pool, uint32_t protocol,
				    const struct kolk_pool_options *options);
/* The name of the cancel pool of a pool of this name; false: this protocol's pools have none. */
#define KOLK__CANCEL_POOL_NAME_BYTES 72
bool kolk__protocol_cancel_pool_name(const char *pool, uint32_t protocol,
				     char name[KOLK__CANCEL_POOL_NAME_BYTES]);
/* The cancel pool; NULL = a pool of this protocol has none. */
struct kolk_pool *kolk__protocol_cancel_pool(struct kolk_pool *pool, uint32_t protocol);

#endif
