/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - the third back end: a world with a virtual clock in which one seed decides every
 * order, latency and fault.
 *
 * The world is one thread. It implements struct kolk_sys, so the engine that runs on it is
 * the one that ships. Peers answer "PING\r\n" with "+PONG\r\n" and echo everything else.
 *
 * The world also checks the engine: an operation submitted twice, a socket closed under an
 * operation, memory freed under one, a leak: kolk__sim_broken says which.
 */
#ifndef KOLK_SIM_H
#define KOLK_SIM_H

#include <kolk/sys/sys.h>

/* clang-format off */
#define KOLK__SIM_FAULTS(X) \
	X(REFUSED,    "refused")       /* connect: no listener */ \
	X(UNREACHABLE,"unreachable")   /* connect: no route */ \
	X(BLACK_HOLE, "black hole")    /* connect: no answer at all */ \
	X(HANG_UP,    "hang up")       /* connect: the peer accepts, and ends it at once */ \
	X(SLOW,       "slow")          /* an operation takes up to ten seconds */ \
	X(RESET,      "reset")         /* the peer resets, at any moment */ \
	X(EOF,        "eof")           /* the peer closes, at any moment */ \
	X(JUNK,       "junk")          /* the peer sends unsolicited bytes */ \
	X(MUTE,       "mute")          /* the peer stops to answer */ \
	X(SHORT,      "short")         /* fewer bytes than asked for */ \
	X(LATE,       "late")          /* a due completion is held back */ \
	X(REORDERED,  "reordered")     /* completions in another order than they became due */ \
	X(ENOMEM,     "out of memory") \
	X(EMFILE,     "out of files") \
	X(ENOBUFS,    "out of buffers") /* accept */ \
	X(ABORTED,    "aborted")       /* accept: the connection ended in the queue */ \
	X(RESOLVE,    "resolve failed") \
	X(JUMP,       "time jump")     /* the machine slept */
/* clang-format on */

enum kolk__sim_fault {
#define KOLK__SIM_ENUM(name, text) KOLK__SIM_##name,
	KOLK__SIM_FAULTS(KOLK__SIM_ENUM)
#undef KOLK__SIM_ENUM
	KOLK__SIM_FAULT_COUNT
};

struct kolk__sim;

/* NULL when there is no memory. One seed, one world. */
struct kolk__sim *kolk__sim_open(uint64_t seed);
/* Frees everything, also what the engine leaked. */
void kolk__sim_close(struct kolk__sim *sim);
const struct kolk_sys *kolk__sim_sys(struct kolk__sim *sim);

/* What runs while a thread waits: called again and again from the table's blocking calls. */
void kolk__sim_on_wait(struct kolk__sim *sim, void (*turn)(void *user), void *user);
/* Chance of a fault whenever it could happen, in 1/65536. */
void kolk__sim_chance(struct kolk__sim *sim, enum kolk__sim_fault fault, uint32_t chance);
uint64_t kolk__sim_fired(const struct kolk__sim *sim, enum kolk__sim_fault fault);
const char *kolk__sim_fault_name(enum kolk__sim_fault fault);

uint64_t kolk__sim_now(const struct kolk__sim *sim);
/* Let time pass; a JUMP may make it much more. */
void kolk__sim_pass(struct kolk__sim *sim, uint64_t ns);
/* When something in the world happens next, absolute; KOLK_FOREVER. */
uint64_t kolk__sim_next(const struct kolk__sim *sim);
/* A peer hurts one of the open sockets: end of stream, reset, junk or silence. */
void kolk__sim_hurt(struct kolk__sim *sim);
/* Until then every connect is refused. */
void kolk__sim_outage(struct kolk__sim *sim, uint64_t until_ns);

/* What peers are: instead of the echo. Called with what a socket sent, as it was cut up; peer
 * numbers connections, port is where it was dialled. It answers with the next three, now or
 * later. */
typedef void kolk__sim_peer_fn(void *user, uint64_t peer, uint16_t port, const uint8_t *bytes,
			       size_t size);
void kolk__sim_peers(struct kolk__sim *sim, kolk__sim_peer_fn *peer, void *user);
/* The peer of an open socket. */
uint64_t kolk__sim_peer(const struct kolk__sim *sim, int fd);
/* In order, after a while; nothing happens when the connection has ended. */
void kolk__sim_peer_says(struct kolk__sim *sim, uint64_t peer, const void *bytes, size_t size);
void kolk__sim_peer_ends(struct kolk__sim *sim, uint64_t peer, bool reset);

/* A peer dials a socket that listens at this port. Its number, as in kolk__sim_peers; 0 = refused:
 * there is no listener, or its queue is full. It may speak at once. */
uint64_t kolk__sim_dial(struct kolk__sim *sim, uint16_t port);
/* Whether that connection is still there, accepted or not. */
bool kolk__sim_connected(const struct kolk__sim *sim, uint64_t peer);
/* What such peers are, instead of those of kolk__sim_peers. */
void kolk__sim_diallers(struct kolk__sim *sim, kolk__sim_peer_fn *peer, void *user);
/* Connections that peers dialled at this port, and that were not accepted yet. */
uint32_t kolk__sim_queued(const struct kolk__sim *sim, uint16_t port);

/* From now on peers close what nothing was sent on for so long; 0 = never. */
void kolk__sim_idle_limit(struct kolk__sim *sim, uint64_t ns);

/* What poll would say of a loop's descriptor (kolk_loop_fd) now. */
bool kolk__sim_readable(struct kolk__sim *sim, int fd);
/* Operations that were ever submitted. */
uint64_t kolk__sim_submitted(const struct kolk__sim *sim);

/* NULL, or the first rule that the engine broke (static text). */
const char *kolk__sim_broken(const struct kolk__sim *sim);
/* Whether memory, sockets or operations are left. */
const char *kolk__sim_leaks(const struct kolk__sim *sim);

/* The history as one number: everything that the world did goes into it. */
void kolk__sim_record(struct kolk__sim *sim, uint64_t value);
uint64_t kolk__sim_hash(const struct kolk__sim *sim);
/* Randomness of the world, for its driver. */
uint64_t kolk__sim_random(struct kolk__sim *sim);
static inline uint64_t kolk__sim_below(struct kolk__sim *sim, uint64_t bound)
{
	return kolk__sim_random(sim) % bound;
}

#endif
