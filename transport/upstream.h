/* SPDX-License-Identifier: Apache-2.0 */
/* upstream.h - where a pool dials and how, inside the transport: what its options became. */
#ifndef KOLK_UPSTREAM_H
#define KOLK_UPSTREAM_H

#include "core/base/atomic.h"
#include "core/base/lock.h"
#include "transport/endpoint.h"
#include "transport/transport.h"

/* How many destroys are in flight, and those that wait for a place: resource_async.c. */
struct kolk__closes {
	struct kolk__lock lock;       /* a leaf; all but the options */
	uint32_t count;
	struct kolk_resource_op *first, **end;
	kolk__atomic_u32 max;         /* W: kolk__upstream_tune. R: home loops (relaxed), as ns */
	kolk__atomic_u64 ns;
};

struct kolk__child_config;
struct kolk__dns_cache;
struct kolk__tls_config;

/* Immutable except streams, refs, and what kolk__upstream_tune stores (socket, times,
 * reset_bytes_max and the times of child; relaxed). Its pool has a reference, and each link from
 * its dial until it is freed. Loops, workers, holders and dns_cache.c use link->upstream only while
 * the link exists, so they need no reference of their own. */
struct kolk__upstream {
	struct kolk__transport *transport;
	uint64_t number;              /* later ones are greater: tls_sessions.c */
	kolk__atomic_u32 refs;        /* W: its pool, links */
	const struct kolk_driver *driver_given; /* the owner of the sessions; kolk_lease_session */
	const struct kolk_driver *driver;       /* &driver_read; NULL = a resource */
	const struct kolk_resource_driver *resource; /* &resource_read; NULL = none */
	struct kolk_driver driver_read;              /* both as this library knows them */
	struct kolk_resource_driver resource_read;
	void *driver_user;
	void *driver_options;         /* of a driver that has some: driver_user, to be freed */
	size_t driver_bytes;
	struct kolk__tls_config *tls; /* NULL = plain */
	const struct kolk__accepting *accepting; /* NULL = its links are dialled */
	struct kolk__child_config *child; /* NULL = sockets */
	struct kolk__dns_cache *dns;                 /* to resolve; NULL = the address is given */
	struct kolk__endpoint endpoint;
	struct kolk_address bind;
	char bind_text[KOLK__HOST_MAX]; /* "" = none */
	char bind_zone[KOLK__ZONE_MAX];
	struct kolk_sock_options socket; /* bind: &bind or NULL */
	struct {
		kolk__atomic_u64 resolve_ns, connect_ns, tls_ns, ready_ns, ping_ns, reset_ns;
		kolk__atomic_u64 retry_ns, retry_max_ns;
	} times; /* durations */
	kolk__atomic_u32 reset_bytes_max;
	struct kolk__closes closes;   /* of asynchronous resources */
	/* W, R: home loops (relaxed: a hint): loops read its connections. */
	kolk__atomic_bool streams;
};

/* Of links that peers dial, with a stream of so many bytes each; its one reference is the caller's.
 * NULL = no memory. */
struct kolk__upstream *kolk__upstream_accepting(struct kolk__transport *transport,
						size_t stream_bytes,
						const struct kolk__accepting *accepting);
/* A socket as the options want it: its descriptor, or -errno. */
int kolk__upstream_socket(const struct kolk__upstream *upstream, uint32_t family);

#endif
