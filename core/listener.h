/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.h - an engine's listeners: one acceptor per loop (transport/listen.h), and what they
 * share: the permits of its streams, and its end.
 *
 * Sum (kolk_check proves it): listener.permits == sum of its acceptors' streams
 */
#ifndef KOLK_LISTENER_INTERNAL_H
#define KOLK_LISTENER_INTERNAL_H

#include "core/address_limit.h"
#include "core/engine.h"
#include "transport/listen.h"

/* The part of a listener on one loop. */
struct kolk__listener_part {
	struct kolk__acceptor *acceptor;
	int fd;      /* its own, or the shared one; -1 = closed or given back */
	bool closed; /* under listeners: the acceptor has ended */
};

struct kolk_listener {
	struct kolk_engine *engine;
	struct kolk_listener *next, **prev; /* under listeners: engine.listeners */
	struct kolk__listening listening;
	struct kolk_address address;
	char text[KOLK__LISTEN_TEXT];
	uint32_t streams_max;
	bool shared;      /* one socket for all loops */
	bool given;       /* the socket was given: other processes may listen at it */
	bool made_file;   /* the socket's file is ours to remove, if it is still this one: */
	uint64_t file[2];
	uint32_t told;    /* under listeners, once it has begun: the kernel chooses among so many of
			   * its sockets */
	bool stopping;    /* under listeners: it was ordered to stop, or to close */
	bool ended;       /* under listeners: no acceptor is left */
	kolk_listener_closed_fn *closed; /* under listeners, as the next */
	void *closed_user;
	struct kolk__task task;   /* runs closed, if it ended before that was given */
	uint32_t open;            /* under listeners: acceptors that have not ended */
	kolk__atomic_u32 listens; /* W: loops. Means: acceptors that use the shared socket */
	kolk__atomic_u32 permits; /* W, R: loops: streams; <= streams_max. ORDERS.SC */
	kolk__atomic_u32 turn;    /* W, R: loops (relaxed): who is looked at first */
	struct kolk__address_limit addresses;
	uint32_t count;
	struct kolk__listener_part parts[];
};

/* listener.c */
/* Set the functions of core that its acceptors call. */
void kolk__listener_calls(struct kolk_listener *listener, bool limits_addresses);
/* Close the sockets that it still has. */
void kolk__listener_sockets_close(struct kolk_listener *listener);
void kolk__listener_free(struct kolk_listener *listener);

/* listener_loops.c */
/* Listen on the loops that are active. Under engine.listeners. Errors: E_IO. */
enum kolk_err kolk__listener_loops(struct kolk_listener *listener);

/* Order all listeners of the engine to close at once. */
void kolk__listeners_close(struct kolk_engine *engine);
bool kolk__listeners_are_closed(struct kolk_engine *engine);
/* Wait until they are closed. Blocks. */
void kolk__listeners_wait(struct kolk_engine *engine, uint64_t deadline_ns);
/* Their loops have ended, and are not closed yet: streams that are left are told; then, when the
 * loops are closed, free all. */
void kolk__listeners_drop(struct kolk_engine *engine);
void kolk__listeners_free(struct kolk_engine *engine);
/* Return NULL, or the law that is broken. */
const char *kolk__listeners_check(struct kolk_engine *engine);

#endif
