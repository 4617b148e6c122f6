/* SPDX-License-Identifier: Apache-2.0 */
/* sim_world.h - shared by the simulator's files: sim.c (time, memory), sim_ring.c, sim_net.c. */
#ifndef KOLK_SIM_WORLD_H
#define KOLK_SIM_WORLD_H

#include "core/base/heap.h"
#include "tests/sim/sim.h"

enum { SIM_SOCKETS = 256, SIM_OPS = 2048, SIM_RX = 4096, SIM_RINGS = 8, SIM_CLASSES = 26 };
enum { SIM_BACKLOG = 64 };

struct sim_socket {
	bool open, connected, ended, reset, mute;
	uint32_t generation;
	uint16_t port;                /* where it was connected to */
	uint32_t matched;             /* bytes of "PING\r\n" seen in a row */
	uint64_t last_due_ns;         /* a stream stays in order */
	uint64_t active_ns;           /* connected, or something was sent */
	uint32_t received;            /* unread bytes */
	uint8_t rx[SIM_RX];
	struct kolk_op *recv, *watch; /* pending: wait for something to happen */

	bool dialled;                 /* by a peer */
	bool queued;                  /* a peer dialled it, and it was not accepted yet */
	bool listening;               /* it listens at port; what follows is of such sockets */
	uint32_t backlog[SIM_BACKLOG], waiting; /* sockets that are queued, oldest first */
	uint32_t listen_number, share_count; /* sock_share; 0 = there are no more than it says */
	struct kolk_op *accept[SIM_RINGS];      /* pending; NULL = none */
};

struct kolk__sim {
	struct kolk_sys sys;
	uint64_t now_ns, random_state, hash, outage_ns, idle_limit_ns;
	uint32_t chance[KOLK__SIM_FAULT_COUNT];
	uint64_t fired[KOLK__SIM_FAULT_COUNT];
	const char *broken;
	kolk__sim_peer_fn *peer;      /* NULL = the echo */
	void *peer_user;
	kolk__sim_peer_fn *dialler;   /* NULL = as peer */
	void *dialler_user;
	void (*turn)(void *user);
	void *turn_user;

	uint8_t *arena, *arena_at, *arena_end;
	void *free[SIM_CLASSES];      /* by power of two */
	uint64_t blocks;

	struct kolk_ring *rings[SIM_RINGS];
	struct kolk_op *flying[SIM_OPS]; /* every operation in flight */
	uint32_t flying_count;
	uint64_t submitted; /* ever */
	struct kolk__heap deliveries; /* what peers will do */
	struct sim_socket *sockets;
	uint32_t sockets_open, listen_numbers;
};

bool sim_fault(struct kolk__sim *sim, enum kolk__sim_fault fault);
void sim_break(struct kolk__sim *sim, const char *rule);
/* Between low and high, more often low. */
uint64_t sim_latency(struct kolk__sim *sim, uint64_t low_ns, uint64_t high_ns);

/* sim_ring.c: operations */
void sim_ring_table(struct kolk_sys *sys);
void sim_ring_close(struct kolk__sim *sim);
uint64_t sim_ring_next(const struct kolk__sim *sim);
/* It completes after so long; it waits for something to happen to its socket; it has ended. */
void sim_op_schedule(struct kolk_op *op, uint64_t latency_ns);
void sim_op_wait(struct kolk__sim *sim, struct kolk_op *op);
void sim_op_taken(struct kolk__sim *sim, struct kolk_op *op);
/* True when an operation in flight uses this memory. */
bool sim_ring_uses(const struct kolk__sim *sim, const void *memory, size_t size);
/* Something happened to the socket: operations that wait for it complete soon. Of a listening one:
 * a peer dialled. */
void sim_poke(struct kolk__sim *sim, struct sim_socket *socket);

/* sim_complete.c: it is due */
void sim_op_complete(struct kolk__sim *sim, struct kolk_op *op);

/* sim_listen.c: sockets that listen, and peers that dial */
void sim_listen_table(struct kolk_sys *sys);
/* Accept what is queued, done() for each one; then it waits on, or has ended with the result. */
int32_t sim_accept(struct kolk__sim *sim, struct kolk_op *op);
/* It is closed: so are those in its queue. */
void sim_unlisten(struct kolk__sim *sim, struct sim_socket *listener);
/* A free socket, not open yet; NULL = none. */
struct sim_socket *sim_socket_free(struct kolk__sim *sim);

/* sim_net.c: sockets, names, peers */
void sim_net_table(struct kolk_sys *sys);
void sim_net_close(struct kolk__sim *sim);
uint64_t sim_net_next(const struct kolk__sim *sim); /* of the rings, too */
struct sim_socket *sim_socket_of(struct kolk__sim *sim, int fd);
bool sim_has_news(const struct sim_socket *socket);
void sim_accepted(struct kolk__sim *sim, struct sim_socket *socket); /* it is connected now */
void sim_deliver_due(struct kolk__sim *sim);
int sim_fd_of(const struct kolk__sim *sim, const struct sim_socket *socket);
void sim_sock_close(void *context, int fd);
int64_t sim_sock_send(void *context, int fd, const void *data, size_t size);
int64_t sim_sock_recv(void *context, int fd, void *data, size_t size);
int32_t sim_resolve(struct kolk__sim *sim, struct kolk_lookup *lookup);

#endif
