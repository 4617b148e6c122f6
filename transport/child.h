/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - a link whose other end is a child process.
 *
 *   (BACKOFF) -> SPAWNING -> RUNNING -> STDIN_CLOSED -> TERMINATING (SIGTERM) -> KILLED -> ENDED
 *                               +-------------+----------------+---------------------------+
 *
 * A spawn waits in BACKOFF when earlier children exited early. ENDED means reaped. The link is not
 * quiescent before (kolk__link_is_quiescent), so its memory, its descriptors and the connection's
 * permits wait for that.
 */
#ifndef KOLK_CHILD_TRANSPORT_H
#define KOLK_CHILD_TRANSPORT_H

#include "transport/link.h"

enum { KOLK__STDERR_LINE_MAX = 200 };

/* A pool's child options, with the complete environment. One block of memory. Immutable except
 * early_exits and spawn_after_ns (W, R: home loops, relaxed: a hint). */
struct kolk__child_config {
	size_t bytes;
	struct kolk_child_spec spec;
	kolk__atomic_u64 stop_ns, term_ns;
	kolk__atomic_u32 lines_max;
	kolk__atomic_bool stderr_tail;
	uint8_t digest[32]; /* SHA-256 of the environment */
	kolk__atomic_u32 early_exits; /* early exits in a row, of children that were not used */
	kolk__atomic_u64 spawn_after_ns; /* no spawn before */
};

enum kolk__child_stage {
	KOLK__CHILD_BACKOFF,
	KOLK__CHILD_SPAWNING,
	KOLK__CHILD_RUNNING,
	KOLK__CHILD_STDIN_CLOSED,
	KOLK__CHILD_TERMINATING,
	KOLK__CHILD_KILLED,
	KOLK__CHILD_ENDED
};

/* What it writes to stderr. */
struct kolk__child_stderr {
	struct kolk_op op;
	struct kolk__timeout pause;  /* it writes too much: read on later */
	char line[KOLK__STDERR_LINE_MAX + 1]; /* begun, not ended */
	char last[KOLK__STDERR_LINE_MAX + 1]; /* the last that was not empty */
	uint32_t size;
	uint32_t lines, suppressed;  /* logged and not logged in this second */
	uint64_t second_ns;          /* when it began */
};

struct kolk__child {
	struct kolk__link *link;
	struct kolk_op op;           /* the spawn, then the wait for its end */
	struct kolk__timeout timeout; /* of the stage */
	struct kolk_child process;   /* the worker's while it is SPAWNING */
	int32_t result;              /* of the spawn */
	enum kolk__child_stage stage;
	bool unexpected;             /* ENDED, and it was not stopped */
	kolk__atomic_bool used;      /* W: holders (relaxed). Something was sent to it */
	uint64_t spawned_ns;
	struct kolk__child_stderr stderr_log;
};

/* child_config.c. failure: as kolk__upstream_open. */
enum kolk_err kolk__child_config_open(struct kolk__transport *transport,
				      const struct kolk_child_options *options,
				      struct kolk_failure *failure,
				      struct kolk__child_config **config);
void kolk__child_config_close(struct kolk__transport *transport,
			      struct kolk__child_config *config);

/* child.c, all [home] */
enum kolk_err kolk__child_dial(struct kolk__link *link);
/* End it: step by step if it was ready, otherwise at once; within the budget in any case. Then the
 * link is notified as if an operation had ended. */
void kolk__child_stop(struct kolk__link *link, bool gracefully);
bool kolk__child_is_done(const struct kolk__link *link);
/* A lease begins to send. [holder] */
void kolk__child_mark_used(struct kolk__link *link);
/* How it ended, if that is why the dial failed. */
void kolk__child_explain(const struct kolk__link *link, struct kolk_failure *failure);
/* An operation of its has ended: the link may wait for that. */
void kolk__child_check_done(struct kolk__link *link);
void kolk__child_free(struct kolk__link *link);
/* The ring is closed: kill the child now. Blocks until the kernel has killed it. */
void kolk__child_kill_now(struct kolk__link *link);

/* child_stderr.c */
void kolk__child_log(struct kolk__child *child, enum kolk_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void kolk__child_stderr_begin(struct kolk__child *child);
/* Read and log the rest. After this nothing of it is in flight, or soon will not be. */
void kolk__child_stderr_end(struct kolk__child *child);

#endif
