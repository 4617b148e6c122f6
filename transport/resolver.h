/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h - what resolver.c and resolver_channel.c share. */
#ifndef KOLK_RESOLVER_H
#define KOLK_RESOLVER_H

#include <ares.h>
#include <stdbool.h>
#include <stdint.h>

struct query;

enum { CSV_MAX = 256 };

/* Identifies a version of resolv.conf; zeros = there is none. */
struct file_id {
	uint64_t device, inode, size, s, ns;
};

/* One per list of name servers, "" = the system's. */
struct channel {
	struct channel *next;
	ares_channel ares;
	uint32_t in_flight;      /* queries that c-ares has */
	bool stale;           /* resolv.conf is another by now */
	struct file_id file_id; /* of the resolv.conf that it read */
	char servers[CSV_MAX];
};

struct kolk__resolver {
	int epoll, timer;
	struct channel *channels;
	struct query *waiting; /* one family has answered: until due_ns the other may */
};

/* A channel for these name servers. When there is no memory for a new one, the old one is better
 * than none. */
struct channel *kolk__channel_of(struct kolk__resolver *resolver, const char *servers);
void kolk__channel_close(struct channel **place);
/* Those whose resolv.conf has changed and that have no query any more. Not inside c-ares. */
void kolk__channels_close_stale(struct kolk__resolver *resolver);

/* resolver.c: c-ares wants to know when this socket is readable or writable. */
void kolk__resolver_socket_changed(void *user, ares_socket_t fd, int readable, int writable);

#endif
