/* SPDX-License-Identifier: Apache-2.0 */
/* listening.h - listeners under test: a handler that can be told what to do, and plain clients. */
#ifndef KOLK_TESTS_LISTENING_H
#define KOLK_TESTS_LISTENING_H

#include "tests/wire/wire.h"

/* What a stream does with what comes. */
enum conduct {
	ECHO,       /* sends it back, and pauses meanwhile; closes when the peer ends */
	SINK,       /* counts it */
	HOLD,       /* pauses at once */
	PUSH,       /* sends without end as soon as something comes */
	FAREWELL,   /* answers the first bytes, with push_size bytes if there are some, and closes */
	RESET,      /* answers the first bytes, and resets when they are sent */
	REFUSE,     /* open returns NULL */
	TURNS       /* two streams on one loop: who gets something pauses, and resumes the other */
};

struct listening {
	struct kolk_engine *engine;
	struct kolk_listener *listener;
	enum conduct conduct;
	bool lazy;        /* sends are: kolk_io_lazy */
	size_t push_size; /* of each send of PUSH, and of FAREWELL's */
	uint32_t pushes_max; /* 0 = without end */
	bool closes;         /* PUSH: as soon as its last send has begun */
	int clients;      /* that are still there when it is closed */
	kolk__atomic_u32 opened, open, ended, last_err, sends_failed;
	kolk__atomic_u32 most; /* that were open at once */
	kolk__atomic_u64 received, pieces;
	kolk__atomic_u32 ends; /* data was called with size 0 */
	struct kolk_stream *turns[2];
	kolk__atomic_u32 mismatches; /* of TURNS: byte n is n */
	kolk__atomic_u32 last_loop; /* that it is on */
	KOLK__ATOMIC(struct kolk_stream *) last; /* opened; for tests that know that it lives */
};

/* Engine on the back end under test (NULL = its defaults, with counted memory) and a listener at
 * address (NULL = 127.0.0.1:0); o NULL = the defaults. */
bool listening_open(struct listening *l, struct kolk_engine_options *engine,
		    const struct kolk_listener_options *o);
/* Only the listener. */
enum kolk_err listening_add(struct listening *l, const struct kolk_listener_options *o,
			    struct kolk_failure *failure);
/* The engine's audit and end; then no memory and no descriptor may be left. */
void listening_close(struct listening *l);
/* Run on the last stream's loop. */
void listening_call(struct listening *l, void (*call)(struct kolk_stream *stream));
struct kolk_listener_stats listening_stats(struct listening *l);

/* A client: connected within 5 s; its calls wait at most 5 s. -1 = no. */
int client_dial(const char *address);
/* Without waiting for anything. */
int client_begin(const char *address);
/* With a socket of the caller's, for when no descriptor is left; connecting is enough. */
bool client_connect(int fd, const char *address);
bool client_send(int fd, const void *bytes, size_t size);
/* So many bytes; fewer = the end or an error came first. */
size_t client_recv(int fd, void *bytes, size_t size);
/* What comes next: 0 = the end, -errno, -EAGAIN = nothing for 5 s; or the count of bytes. */
int client_next(int fd);
bool client_echoes(int fd, size_t size);
void client_reset(int fd);
int files_open(void);

#endif
