/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kolk/child.h - a child process as a connection of a pool: its stdin is what is sent, its stdout
 * what is received.
 *
 * Each child runs in a session and process group of its own, and inherits nothing from the embedder
 * but what the options name: no descriptors besides 0, 1 and 2, no environment, default signals, no
 * new privileges (prctl(2), PR_SET_NO_NEW_PRIVS), and it dies with its parent. Its stdin and stdout
 * are one stream socket (unix(7)), its stderr is a pipe. Any driver of bytes runs over it.
 *
 *   dial    spawn: connect_timeout_ns, phase CONNECT; a program that cannot be run fails the
 *           dial with the errno of execve(2) in kolk_failure.os_error
 *   close   its stdin ends -> stop_timeout_ns -> SIGTERM -> term_timeout_ns -> SIGKILL to the
 *           whole group; what is left of the group when it has ended is killed, too. The
 *           connection counts as open until the child is reaped.
 *
 * A child that ends by itself within a second of its start, with a status other than 0 or without
 * ever having been used, delays its successors: the next is started no sooner than
 * retry_interval_ns later, doubling up to retry_max_ns.
 *
 * The embedder must not reap children that are not its own: no wait(2) for any child, no SIGCHLD
 * ignored or with SA_NOCLDWAIT. If it does, the children still end, but how they ended is not
 * known, and what is left of their groups is not killed.
 */
#ifndef KOLK_CHILD_H
#define KOLK_CHILD_H

#include <kolk/base.h>

struct kolk_child_options {
	uint32_t size;             /* sizeof; set by KOLK_INIT */
	uint32_t files_max;        /* RLIMIT_NOFILE of the child; 0 = as the process; at least 3 */
	/* The program's absolute path and its arguments, NULL-terminated, at most 256; there is no
	 * search and no shell. Required. Copied, as all that follows. */
	const char *const *command;
	/* The environment, NULL-terminated "NAME=value", at most 256; NULL = none. */
	const char *const *environment;
	/* Names of variables that it inherits from the process's own environment, if they are set
	 * there and not given above; NULL-terminated, at most 64; NULL = none. They are read when
	 * the pool is added or updated, on the calling thread. */
	const char *const *inherit;
	const char *directory;     /* absolute path to run in; NULL = where the process runs */
	uint64_t stop_timeout_ns;  /* how long it may take to end by itself after its stdin ended;
	                            * 0 = 1 s; KOLK_AT_ONCE = SIGTERM at once, as always for one
	                            * that never became ready; not KOLK_FOREVER */
	uint64_t term_timeout_ns;  /* the same after SIGTERM; 0 = 1 s; KOLK_AT_ONCE; not
	                            * KOLK_FOREVER */
	/* Stderr is read as long as the child lives; one that writes more than 6 MiB a second waits
	 * for it. Its lines go to the log (subject "child", level debug), non-printing bytes as
	 * '?', at most 200 bytes each. If a child may write secrets there, switch both off. */
	uint32_t lines_max;        /* logged per second and child; 0 = 20; KOLK_NONE; KOLK_UNLIMITED */
	uint32_t last_words_off;   /* 1 = the log's warning that it ended unasked, with a status
	                            * other than 0, does not quote its last output */
};                                 /* since 0.1 */

#endif
